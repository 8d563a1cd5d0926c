#include "tools/photos.h"

#include "tools/output.h"
#include "tools/progress.h"

namespace graft::tools {

void run_photos(const PhotoRun& run, SkippedPhotos& skipped, const UsePhotos& use) {
  skipped.add(run.photos.skipped);
  const auto count = static_cast<int64_t>(run.photos.samples.size());
  if (count == 0) return;
  GRAFT_CHECK(run.batch >= 1, "--batch must be 1 or more, not {}", run.batch);
  const int64_t size = std::min(run.batch, count);
  const train::Predictor predictor(run.model, open_device_noted(run.device),
                                   {.batch = size, .height = 0, .width = 0, .layers = run.layers});
  io::LoaderOptions options;
  options.preprocessing = run.model.info().preprocessing;
  options.batch = static_cast<int>(size);
  options.threads = reading_threads(count);
  options.shuffle = false;
  io::Loader loader(run.photos, options);

  Progress progress(run.doing, count, run.quiet);
  int64_t done = 0;
  io::Batch batch;
  for (bool more = true; more && !output_closed();) {
    more = loader.next(batch);
    skipped.add(batch.skipped);
    done += batch.size + static_cast<int64_t>(batch.skipped.size());
    if (batch.size > 0)
      use(batch, predictor.run(batch.images.data(), batch.size)[0], predictor.output_shape(0, batch.size));
    progress.at(done);
  }
}

}  // namespace graft::tools
