#include "tarn/io/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "printable.hpp"
#include "tarn/io/strict_json.hpp"

namespace tarn {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_header_bytes = 16U << 20;
constexpr std::size_t max_dimensions = 32;
constexpr std::string_view metadata_key = "__metadata__";
constexpr std::string_view format_version = "1";

struct DtypeName {
  std::string_view name;
  ElementType type;
};
constexpr std::array<DtypeName, 13> dtype_names{{{"F16", ElementType::f16},
                                                 {"BF16", ElementType::bf16},
                                                 {"F32", ElementType::f32},
                                                 {"F64", ElementType::f64},
                                                 {"I8", ElementType::i8},
                                                 {"I16", ElementType::i16},
                                                 {"I32", ElementType::i32},
                                                 {"I64", ElementType::i64},
                                                 {"U8", ElementType::u8},
                                                 {"U16", ElementType::u16},
                                                 {"U32", ElementType::u32},
                                                 {"U64", ElementType::u64},
                                                 {"BOOL", ElementType::boolean}}};

/// One tensor of the header: where its bytes lie in the data section.
struct Entry {
  std::string name;
  ElementType dtype = ElementType::f32;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

ElementType parse_dtype(const json& value, const std::string& what) {
  if (value.is_string()) {
    for (const auto& entry : dtype_names) {
      if (value.get_ref<const std::string&>() == entry.name) return entry.type;
    }
  }
  fail("{}: dtype {} is not read; allowed: F16, BF16, F32, F64, I8..I64, U8..U64, BOOL", what,
       printable(value.dump(), 40));
}

std::uint64_t parse_size(const json& value, const std::string& what) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    fail("{}: {} is not a size", what, printable(value.dump(), 40));
  }
  return value.get<std::uint64_t>();
}

Entry parse_entry(const std::string& name, const json& value, const std::string& file) {
  const auto what = fmt::format("{}: tensor \"{}\"", file, printable(name));
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets")) {
    fail("{}: must have exactly the keys dtype, shape and data_offsets", what);
  }
  Entry entry{name, parse_dtype(value["dtype"], what), {}, 0, 0};
  const auto& shape = value["shape"];
  if (!shape.is_array() || shape.size() > max_dimensions) {
    fail("{}: shape must be a list of at most {} sizes", what, max_dimensions);
  }
  for (const auto& extent : shape) entry.shape.push_back(static_cast<std::int64_t>(parse_size(extent, what)));
  const auto& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) fail("{}: data_offsets must be [begin, end]", what);
  entry.begin = parse_size(offsets[0], what);
  entry.end = parse_size(offsets[1], what);
  const auto size = byte_count(entry.shape, entry.dtype, what);
  if (entry.end < entry.begin || entry.end - entry.begin != size) {
    fail("{}: shape {} of {} takes {} bytes, but its offsets are [{}, {}]", what, to_string(entry.shape),
         name_of(entry.dtype), size, entry.begin, entry.end);
  }
  return entry;
}

void parse_metadata(const json& value, TensorFile& file) {
  if (!value.is_object()) fail("{}: __metadata__ must map texts to texts", file.source);
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) fail("{}: __metadata__ \"{}\" is not a text", file.source, printable(key));
    file.metadata.emplace(key, text.get<std::string>());
  }
}

/// The tensors must tile the data section: no gap, no overlap, nothing left over.
void check_tiling(std::vector<Entry>& entries, std::uint64_t data_bytes, const std::string& file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t at = 0;
  for (const auto& entry : entries) {
    if (entry.begin != at) {
      fail("{}: tensor \"{}\" starts at byte {}, but the one before it ends at {} ({})", file, printable(entry.name),
           entry.begin, at, entry.begin < at ? "they overlap" : "a gap");
    }
    at = entry.end;
  }
  if (at != data_bytes) fail("{}: tensors take {} bytes, but the file holds {}", file, at, data_bytes);
}

void check_own_metadata(const TensorFile& file, ByteView data) {
  const auto version = file.metadata.find("format_version");
  const auto hash = file.metadata.find("xxh3");
  if (hash == file.metadata.end()) return;  // not written by tarn
  if (version != file.metadata.end() && version->second != format_version) {
    fail("{}: format version \"{}\" is not read; allowed: {}", file.source, printable(version->second, 40),
         format_version);
  }
  const auto found = xxh3_hex(data);
  if (hash->second != found) {
    fail("{}: data are damaged: XXH3 is {}, metadata say {}", file.source, found, printable(hash->second, 40));
  }
}

}  // namespace

TensorFile parse_safetensors(ByteView data, const std::string& name) {
  if (data.size() < 8) fail("{}: is not a safetensors file ({} bytes, at least 8 are needed)", name, data.size());
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, data.data(), 8);
  if (header_bytes > data.size() - 8 || header_bytes > max_header_bytes) {
    fail("{}: is cut off or not a safetensors file (its header claims {} bytes; the file holds {}, allowed: {})", name,
         header_bytes, data.size() - 8, max_header_bytes);
  }
  const std::string_view text(reinterpret_cast<const char*>(data.data()) + 8, header_bytes);
  if (!text.starts_with('{')) fail("{}: is not a safetensors file (its header does not start with a brace)", name);
  const auto header = parse_strict_json(text, name, 3);
  const auto values = data.subspan(8 + header_bytes);

  TensorFile file;
  file.source = name;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key == metadata_key) {
      parse_metadata(value, file);
    } else {
      entries.push_back(parse_entry(key, value, name));
    }
  }
  check_tiling(entries, values.size(), name);
  check_own_metadata(file, values);
  for (auto& entry : entries) {
    const auto bytes = values.subspan(entry.begin, entry.end - entry.begin);
    file.tensors.emplace(std::move(entry.name),
                         Tensor{entry.dtype, std::move(entry.shape), Bytes(bytes.begin(), bytes.end())});
  }
  return file;
}

TensorFile read_safetensors(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return parse_safetensors(read_file(path, max_bytes), path.string());
}

Bytes encode_safetensors(const TensorFile& file) {
  std::vector<const std::pair<const std::string, Tensor>*> order;
  std::uint64_t data_bytes = 0;
  for (const auto& entry : file.tensors) {
    const auto& [name, tensor] = entry;
    const auto size = byte_count(tensor.shape, tensor.dtype, "tensor \"" + name + "\"");
    require(name != metadata_key, "a tensor cannot be named {}", metadata_key);
    require(size == tensor.bytes.size(), "tensor \"{}\" of shape {} takes {} bytes, found {}", name,
            to_string(tensor.shape), size, tensor.bytes.size());
    order.push_back(&entry);
    data_bytes += size;
  }
  // Widest first, so that every tensor is aligned to its element.
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return size_of(a->second.dtype) > size_of(b->second.dtype); });

  Xxh3 hash;
  for (const auto* entry : order) hash.update(entry->second.bytes);
  auto metadata = file.metadata;
  metadata.insert_or_assign("format_version", std::string(format_version));
  metadata["xxh3"] = hash.hex();

  nlohmann::ordered_json header;
  std::string text;
  try {
    header[std::string(metadata_key)] = metadata;
    std::uint64_t at = 0;
    for (const auto* entry : order) {
      const auto& [name, tensor] = *entry;
      const auto* dtype = std::find_if(dtype_names.begin(), dtype_names.end(),
                                       [type = tensor.dtype](const DtypeName& d) { return d.type == type; });
      header[name] = {
          {"dtype", dtype->name}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.bytes.size()}}};
      at += tensor.bytes.size();
    }
    text = header.dump();
  } catch (const json::exception&) {
    fail("{}: a tensor's name or the metadata are not valid UTF-8", file.source);
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  require(text.size() <= max_header_bytes, "{}: names and metadata take {} bytes; allowed: {}", file.source,
          text.size(), max_header_bytes);

  Bytes out(8 + text.size() + data_bytes);
  const std::uint64_t header_bytes = text.size();
  std::memcpy(out.data(), &header_bytes, 8);
  std::memcpy(out.data() + 8, text.data(), text.size());
  auto* at = out.data() + 8 + text.size();
  for (const auto* entry : order) at = std::copy(entry->second.bytes.begin(), entry->second.bytes.end(), at);
  return out;
}

void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  write_file_atomically(path, encode_safetensors(file));
}

}  // namespace tarn
