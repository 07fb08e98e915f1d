#include "tarn/io/npz.hpp"

#include <zip.h>

#include <memory>

#include "printable.hpp"

namespace tarn {
namespace {

// Deflate makes at most 1032 bytes from one; a larger claim is a lie.
constexpr std::uint64_t max_deflate_ratio = 1032;
constexpr zip_int64_t max_entries = 1 << 16;

struct ArchiveDeleter {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct FileDeleter {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
struct SourceDeleter {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, ArchiveDeleter>;
using Source = std::unique_ptr<zip_source_t, SourceDeleter>;

/// What libzip says about the last thing that went wrong.
struct ZipError {
  zip_error_t error{};
  ZipError() { zip_error_init(&error); }
  ~ZipError() { zip_error_fini(&error); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;
  std::string text() { return zip_error_strerror(&error); }
};

/// Checks one entry's claims and inflates it.
Bytes read_entry(zip_t* archive, zip_uint64_t index, const std::string& name, std::size_t archive_bytes,
                 std::uint64_t& budget) {
  zip_stat_t status;
  zip_stat_init(&status);
  constexpr zip_uint64_t needed =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (zip_stat_index(archive, index, 0, &status) != 0 || (status.valid & needed) != needed) {
    fail("{}: entry cannot be examined ({})", name, zip_strerror(archive));
  }
  if (status.encryption_method != ZIP_EM_NONE) fail("{}: entry is encrypted", name);
  if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE) {
    fail("{}: compression method {} is not read; allowed: stored, deflate", name, status.comp_method);
  }
  if (status.size > budget) fail("{}: archive inflates to more bytes than are allowed here", name);
  const bool stored = status.comp_method == ZIP_CM_STORE;
  if (status.comp_size > archive_bytes || (stored && status.size != status.comp_size) ||
      (!stored && status.size / max_deflate_ratio > status.comp_size)) {
    fail("{}: entry claims {} bytes from {} compressed ones in an archive of {}", name, status.size, status.comp_size,
         archive_bytes);
  }
  budget -= status.size;

  const std::unique_ptr<zip_file_t, FileDeleter> file(zip_fopen_index(archive, index, 0));
  if (!file) fail("{}: entry cannot be opened ({})", name, zip_strerror(archive));
  Bytes data(status.size);
  std::uint64_t done = 0;
  while (done < data.size()) {
    const auto got = zip_fread(file.get(), data.data() + done, data.size() - done);
    if (got < 0) fail("{}: entry is damaged ({})", name, zip_file_strerror(file.get()));
    if (got == 0) fail("{}: entry is cut off after {} of {} bytes", name, done, data.size());
    done += static_cast<std::uint64_t>(got);
  }
  // The checksum is compared only once the end is reached.
  std::byte beyond{};
  const auto more = zip_fread(file.get(), &beyond, 1);
  if (more < 0) fail("{}: entry is damaged ({})", name, zip_file_strerror(file.get()));
  if (more > 0) fail("{}: entry is longer than the {} bytes it claims", name, data.size());
  return data;
}

}  // namespace

NpzArrays parse_npz(ByteView data, const std::string& name, std::uint64_t max_bytes) {
  // libzip takes an empty file for an archive without entries.
  if (data.empty()) fail("{}: is not a .npz (zip) archive: it is empty", name);
  ZipError error;
  Source source(zip_source_buffer_create(data.data(), data.size(), 0, &error.error));
  if (!source) fail("{}: cannot be read ({})", name, error.text());
  const Archive archive(zip_open_from_source(source.get(), ZIP_RDONLY, &error.error));
  if (!archive) fail("{}: is not a readable .npz (zip) archive ({})", name, error.text());
  (void)source.release();  // the archive frees it now

  const auto n_entries = zip_get_num_entries(archive.get(), 0);
  if (n_entries > max_entries) fail("{}: archive has {} entries; allowed: {}", name, n_entries, max_entries);
  NpzArrays arrays;
  std::uint64_t budget = max_bytes;
  for (zip_int64_t i = 0; i < n_entries; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    const char* raw = zip_get_name(archive.get(), index, ZIP_FL_ENC_GUESS);
    if (raw == nullptr) fail("{}: entry {} has no readable name ({})", name, i, zip_strerror(archive.get()));
    std::string key = raw;
    const auto entry = name + ":" + printable(key);
    const auto bytes = read_entry(archive.get(), index, entry, data.size(), budget);
    auto array = parse_npy(bytes, entry);
    if (key.ends_with(".npy")) key.resize(key.size() - 4);
    if (!arrays.emplace(key, std::move(array)).second) fail("{}: name \"{}\" stands twice", name, printable(key));
  }
  return arrays;
}

NpzArrays read_npz(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return parse_npz(read_file(path), path.string(), max_bytes);
}

Bytes encode_npz(const NpzArrays& arrays) {
  ZipError error;
  Source buffer(zip_source_buffer_create(nullptr, 0, 0, &error.error));
  if (!buffer) fail("a zip archive cannot be made ({})", error.text());
  Archive archive(zip_open_from_source(buffer.get(), ZIP_CREATE | ZIP_TRUNCATE, &error.error));
  if (!archive) fail("a zip archive cannot be made ({})", error.text());
  zip_source_keep(buffer.get());  // closing the archive frees its reference; ours holds the result

  std::map<std::string, Bytes> files;  // must live until the archive is closed
  for (const auto& [key, array] : arrays) {
    require(!key.empty() && key.find('\0') == std::string::npos, "an array in a .npz needs a name");
    const auto& bytes = files[key] = encode_npy(array);
    Source source(zip_source_buffer(archive.get(), bytes.data(), bytes.size(), 0));
    if (!source) fail("array \"{}\" cannot be added ({})", key, zip_strerror(archive.get()));
    const auto index = zip_file_add(archive.get(), (key + ".npy").c_str(), source.get(), ZIP_FL_ENC_UTF_8);
    if (index < 0) fail("array \"{}\" cannot be added ({})", key, zip_strerror(archive.get()));
    (void)source.release();
    const auto entry = static_cast<zip_uint64_t>(index);
    // 1980-01-01, the first date that a zip archive can hold, and plain file rights, whatever the machine says.
    constexpr zip_uint16_t date = 1 << 5 | 1;
    if (zip_set_file_compression(archive.get(), entry, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive.get(), entry, 0, date, 0) != 0 ||
        zip_file_set_external_attributes(archive.get(), entry, 0, ZIP_OPSYS_UNIX, 0100644U << 16) != 0) {
      fail("array \"{}\" cannot be added ({})", key, zip_strerror(archive.get()));
    }
  }
  if (zip_close(archive.get()) != 0) fail("a zip archive cannot be made ({})", zip_strerror(archive.get()));
  (void)archive.release();

  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_source_stat(buffer.get(), &status) != 0) fail("a zip archive cannot be made");
  // An archive without entries is not written at all by libzip; this is the empty archive of the zip format.
  if ((status.valid & ZIP_STAT_SIZE) == 0 || status.size == 0) {
    Bytes empty(22);
    std::memcpy(empty.data(), "PK\x05\x06", 4);
    return empty;
  }
  Bytes out(status.size);
  if (zip_source_open(buffer.get()) != 0 ||
      zip_source_read(buffer.get(), out.data(), out.size()) != static_cast<zip_int64_t>(out.size())) {
    fail("a zip archive cannot be made ({})", zip_error_strerror(zip_source_error(buffer.get())));
  }
  zip_source_close(buffer.get());
  return out;
}

void write_npz(const std::filesystem::path& path, const NpzArrays& arrays) {
  write_file_atomically(path, encode_npz(arrays));
}

}  // namespace tarn
