// The two containers torch.save has written: a zip archive since version 1.6, one stream of pickles and raw storages
// before. Both come down to an object and a range of the file for each storage it refers to.
#pragma once
#include <string>
#include <unordered_map>

#include "io/file.h"
#include "io/torch/pickle_value.h"
#include "io/torch/zip_archive.h"

namespace graft::io::torch {

struct Container {
  PickleValues values;
  Value object;                                      // what was given to torch.save
  std::unordered_map<std::string, Extent> storages;  // by key; each as long as its StorageRefs say, or longer
};

// NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder, NAME/version, …
Container read_zip_container(const File& file);

// Pickles of a magic number, the protocol's version, facts on the machine, the object and the keys of its storages;
// then for each key its number of elements (8 bytes) and the elements.
Container read_legacy_container(const File& file);

}  // namespace graft::io::torch
