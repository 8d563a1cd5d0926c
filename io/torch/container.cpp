#include "io/torch/container.h"

#include "core/error.h"
#include "io/torch/pickle.h"

namespace graft::io::torch {

namespace {

constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";  // 0x1950a86a20f9469cfc6c
constexpr int64_t kLegacyProtocol = 1001;

// "archive/" of "archive/data.pkl".
std::string find_folder(const File& file, const ZipArchive& zip) {
  for (const std::string& name : zip.names()) {
    const auto slash = name.find('/');
    if (slash == std::string::npos || name.compare(slash, std::string::npos, "/data.pkl") != 0) continue;
    std::string folder = name.substr(0, slash + 1);
    for (const std::string& other : zip.names())
      GRAFT_CHECK(!other.starts_with(folder + "code/") && other != folder + "constants.pkl",
                  "{} is a TorchScript program (torch.jit.save), not weights alone; in Python: "
                  "torch.save(torch.jit.load(\"{}\").state_dict(), \"weights.pth\")",
                  file.name(), file.path().filename().string());
    return folder;
  }
  fail("{} is a zip archive, and not one that torch.save wrote: it has no data.pkl (its first entry is {})",
       file.name(), zip.names().empty() ? "missing" : printable(zip.names()[0]));
}

void check_byte_order(const File& file, bool little) {
  GRAFT_CHECK(little, "{} was written on a big-endian machine; load it with PyTorch and save it again on this one",
              file.name());
}

}  // namespace

Container read_zip_container(const File& file) {
  const ZipArchive zip(file);
  const std::string folder = find_folder(file, zip);
  if (zip.contains(folder + "byteorder")) {
    const Extent order = zip.find(folder + "byteorder");
    ByteStream in(file, order.offset, order.offset + order.bytes);
    check_byte_order(file, in.remaining() == 6 && in.take(6) == "little");
  }

  Container container;
  const Extent pickle = zip.find(folder + "data.pkl");
  check_crc(file, pickle, "data.pkl");
  ByteStream in(file, pickle.offset, pickle.offset + pickle.bytes);
  container.object = Unpickler(in, container.values).load();

  for (const StorageRef& storage : container.values.storages) {
    auto [place, is_new] = container.storages.try_emplace(storage.key);
    if (is_new) place->second = zip.find(folder + "data/" + storage.key);
    int64_t bytes = 0;
    if (__builtin_mul_overflow(storage.root_numel, size_of(storage.type), &bytes) || bytes > place->second.bytes)
      in.damaged("storage {} should have {} elements and has {} bytes", printable(storage.key), storage.root_numel,
                 place->second.bytes);
  }
  return container;
}

Container read_legacy_container(const File& file) {
  Container container;
  PickleValues& values = container.values;
  ByteStream in(file, 0, file.size());

  const Value magic = Unpickler(in, values).load();
  GRAFT_CHECK(magic.kind == Kind::text && values.text(magic) == kLegacyMagic,
              "{} is a Python pickle, and not one that torch.save wrote; load it in Python and write the weights with "
              "torch.save(state_dict, \"weights.pth\")",
              file.name());
  const Value protocol = Unpickler(in, values).load();
  if (protocol.kind != Kind::integer || protocol.payload != kLegacyProtocol)
    in.damaged("its version is not {}", kLegacyProtocol);

  const Value machine = Unpickler(in, values).load();
  if (machine.kind != Kind::dict) in.damaged("the facts on the machine that wrote it are missing");
  const std::vector<Value>& facts = values.items(machine);
  for (size_t i = 0; i < facts.size(); i += 2)
    if (facts[i].kind == Kind::text && values.text(facts[i]) == "little_endian")
      check_byte_order(file, facts[i + 1].payload != 0);

  container.object = Unpickler(in, values).load();
  const Value keys = Unpickler(in, values).load();
  if (keys.kind != Kind::list) in.damaged("the list of its storages is missing");

  std::unordered_map<std::string, const StorageRef*> known;  // its first mention defines a storage's type
  for (const StorageRef& storage : values.storages) known.try_emplace(storage.key, &storage);
  for (const Value& key : values.items(keys)) {
    const auto found = key.kind == Kind::text ? known.find(values.text(key)) : known.end();
    if (found == known.end()) in.damaged("it has a storage that none of its tensors names");
    const uint64_t numel = in.take_unsigned(8);
    const auto size = static_cast<uint64_t>(size_of(found->second->type));
    if (numel > static_cast<uint64_t>(in.remaining()) / size)
      in.damaged(
          "a storage of {} elements of {} bytes should follow, {} bytes are left: the file is cut short, or was "
          "changed",
          numel, size, in.remaining());
    const Extent extent{.offset = in.position(), .bytes = static_cast<int64_t>(numel * size)};
    if (!container.storages.emplace(found->first, extent).second) in.damaged("it has storage {} twice", found->first);
    in.skip(numel * size);
  }

  for (const StorageRef& storage : values.storages) {
    const auto found = container.storages.find(storage.key);
    int64_t bytes = 0;
    if (found == container.storages.end() ||
        __builtin_mul_overflow(storage.root_numel, size_of(storage.type), &bytes) || bytes > found->second.bytes)
      in.damaged("storage {} of {} elements is missing or too short", printable(storage.key), storage.root_numel);
  }
  return container;
}

}  // namespace graft::io::torch
