// The program against wrong files, wrong configs, folders that cannot be written and full disks: one clear line, exit code 1
// or 2, and nothing half-written.
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>

#include "experiment/run_tools.hpp"
#include "sanitized.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/io/safetensors.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

using test::files_below;
using test::lines_of;
using test::read_text;
using test::write_text;
using testing::HasSubstr;
namespace fs = std::filesystem;

class Hostile : public test::RunTest {
 protected:
  Hostile() { write_text(folder / "tiny.toml", test::tiny_peak); }

  struct Outcome {
    int code = -1;
    std::string out, err;
  };
  /// Runs `tarn ARGUMENTS` in the scratch folder; no file may grow beyond `blocks` of 512 bytes, where that is not negative.
  Outcome tarn(const std::string& arguments, int blocks = -1) const {
    // What is printed goes through pipes, which the limit leaves alone.
    const std::string limit = blocks < 0 ? "" : "ulimit -f " + std::to_string(blocks) + "; ";
    const std::string command =
        "cd '" + folder.string() + "' && { { { (" + limit + "exec '" TARN_PROGRAM "' " + arguments +
        ") </dev/null; echo $? >.code; } 3>&1 >&3 3>&- | cat >.out; } 2>&1 >/dev/null | cat >.err; }";
    [[maybe_unused]] const int status = std::system(command.c_str());
    Outcome outcome{std::atoi(read_text(folder / ".code").c_str()), read_text(folder / ".out"),
                    read_text(folder / ".err")};
    for (const char* name : {".code", ".out", ".err"}) fs::remove(folder / name);
    return outcome;
  }
  /// Exit code `code`; a single line on stderr that starts with "tarn: " and holds `text`, behind warnings if `may_warn`;
  /// nothing on stdout; every file as it was.
  void expect_refused(const std::string& arguments, int code, const std::string& text) const {
    const auto before = files_below(folder);
    const Outcome outcome = tarn(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << arguments;
    const auto lines = lines_of(outcome.err);
    ASSERT_EQ(lines.size(), 1u) << arguments << "\n" << outcome.err;
    EXPECT_THAT(lines[0], HasSubstr(text)) << arguments;
    EXPECT_TRUE(lines[0].starts_with("tarn: ")) << lines[0];
    EXPECT_LT(lines[0].size(), 600u) << lines[0];
    EXPECT_TRUE(files_below(folder) == before) << arguments << " changed a file or left one";
  }
  void copy_golden(const std::string& name, const std::string& to) const {
    fs::copy_file(fs::path(TARN_TEST_DATA) / "io" / name, folder / to, fs::copy_options::overwrite_existing);
  }
  /// A trained run, made once a test; its folder, from the scratch folder.
  std::string trained() const {
    EXPECT_EQ(tarn("-q run tiny.toml --threads 1 --out good").code, 0);
    return "good/" + fs::directory_iterator(folder / "good")->path().filename().string();
  }
};

TEST_F(Hostile, EveryKindOfMistakeInAConfig) {
  const std::string npy = "[data]\nkind = \"npy\"\npath = \"x.npy\"\n";
  const struct {
    std::string text, says;
  } cases[] = {
      {"", "data.kind is missing; allowed: "},
      {"[data]\n", "data.kind is missing"},
      {test::tiny_peak + "epoch = 3\n", "bad.toml:23: unknown key sampling.epoch; did you mean"},
      {test::tiny_peak + "[trainig]\nepochs = 3\n", "unknown key trainig; did you mean training?"},
      {"seed = 3\n" + test::tiny_peak, "unknown key seed; did you mean run.seed?"},
      {test::tiny_peak + "chains = 100\n", "bad.toml:23: not valid TOML: "},  // stands twice
      {test::tiny_peak + "[data]\nradius = 1.0\n", "bad.toml:23: not valid TOML: "},
      {"[data\nkind = 1\n", "bad.toml:1: not valid TOML: "},
      {"[data]\nkind = \"ring\n", "bad.toml:2: not valid TOML: "},
      {"[data]\nkind = \"ring\" radius = 1\n", "bad.toml:2: not valid TOML: "},
      {"[data]\nkind = \"\xff\xfe\"\n", "bad.toml:2: not valid TOML: "},
      {std::string("[data]\nkind = \"ri\0ng\"\n", 21), "bad.toml:2: not valid TOML: "},
      {"[data]\nkind = \"rings\"\n", "data.kind = \"rings\" (did you mean \"ring\"?); allowed: "},
      {"[data]\nkind = 3\n", "bad.toml:2: data.kind = 3; allowed: "},
      {"[data]\nkind = \"ring\"\nradius = \"1\"\n", "bad.toml:3: data.radius = \"1\"; allowed: "},
      {"[data]\nkind = \"ring\"\nradius = -1\n", "data.radius = -1; allowed: "},
      {"[data]\nkind = \"ring\"\nradius = nan\n", "data.radius = nan; allowed: "},
      {"[data]\nkind = \"ring\"\nradius = 1e999\n", "bad.toml:3: "},
      {"[data]\nkind = \"ring\"\nepoch_size = 0.5\n", "data.epoch_size = 0.5; allowed: "},
      {"[data]\nkind = \"ring\"\nepoch_size = 99999999999999999999\n", "bad.toml:3: not valid TOML: "},
      {"[data]\nkind = \"ring\"\nepoch_size = true\n", "data.epoch_size = true; allowed: "},
      {"[data]\nkind = \"ring\"\nepoch_size = [1]\n", "data.epoch_size = a list of 1 starting with 1; allowed: "},
      {"[data]\nkind = \"ring\"\nepoch_size = {a = 1}\n", "data.epoch_size = a table; allowed: "},
      {"[data]\nkind = \"ring\"\nepoch_size = 1979-05-27\n", "data.epoch_size = a date or time; allowed: "},
      {"data = 3\n", "bad.toml:1: data = 3; allowed: a table, [data]"},
      {"[[data]]\nkind = \"ring\"\n", "data = a list of 1 starting with a table; allowed: a table, [data]"},
      {"[data]\nkind = \"ring\"\nmeans = [[1.0]]\n", "data.means has no meaning with data.kind = \"ring\""},
      {"[data]\nkind = \"gaussian_mixture\"\nmeans = [1.0]\nstd = 1.0\n", "data.means = "},
      {"[data]\nkind = \"gaussian_mixture\"\nmeans = [[1.0], [1.0, 2.0]]\nstd = 1.0\n", "mean 2 has 2 numbers"},
      {"[data]\nkind = \"gaussian_mixture\"\nmeans = [[1.0]]\n", "either data.std or data.covariances"},
      {"[data]\nkind = \"laplace_mixture\"\ncovariances = [[[1.0, 0.5], [0.4, 1.0]]]\n", "is not symmetric"},
      {npy + "classes = [1]\n", "data.classes: needs data.labels"},
      {npy + "[filter]\nkind = \"wavelet\"\n", "filter.kind = \"wavelet\"; allowed: "},
      {npy + "[run]\nname = \"../x\"\n", "run.name = \"../x\"; allowed: "},
      {std::string(1 << 20, '#') + "\n", "larger than 1048576 bytes"},
      {"a" +
           [] {
             std::string parts;
             for (int i = 0; i < 100'000; ++i) parts += ".a";
             return parts;
           }() +
           " = 1\n",
       "bad.toml:1: a key of more than 16 parts"},
  };
  for (const auto& [text, says] : cases) {
    write_text(folder / "bad.toml", text);
    expect_refused("check bad.toml", 2, says);
  }
  write_text(folder / "bad.toml", cases[2].text);
  expect_refused("run bad.toml", 2, cases[2].says);
  expect_refused("run missing.toml", 2, "missing.toml: no such config file");
  expect_refused("run .", 1, "not a run folder");
  expect_refused("check .", 2, "is a folder");
  expect_refused("run 'no\nsuch.toml'", 2, "no?such.toml: no such config file");
  expect_refused("run tiny.toml --set 'run.name=\"a\nb\"'", 2, "--set run.name: run.name = ");
  expect_refused("run tiny.toml --set training.epochs", 2, "allowed: KEY=VALUE");
}

TEST_F(Hostile, WrongDataSetsLeaveNoRun) {
  const auto refused = [&](const std::string& kind, const std::string& path, const std::string& says,
                           const std::string& more = "") {
    write_text(folder / "set.toml", "[data]\nkind = \"" + kind + "\"\npath = \"" + path + "\"\n" + more);
    expect_refused("run set.toml", 1, says);
  };
  for (const char* kind : {"idx", "npy", "cifar10", "png_folder", "patches"}) refused(kind, "missing", "missing: ");

  const std::string header("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03", 16);
  write_text(folder / "cut.idx", header + "0123456789");
  refused("idx", "cut.idx", "cut.idx: the header promises 2 images of 2 x 3 bytes, but 10 bytes follow it");
  write_text(folder / "labels.idx", std::string("\0\0\x08\x01\0\0\0\x09.........", 17));
  refused("idx", "labels.idx", "IDX magic number 2049, but that of images of bytes is 2051");
  write_text(folder / "absurd.idx", std::string("\0\0\x08\x03", 4) + std::string(12, '\xff') + "x");
  refused("idx", "absurd.idx", "promises 4294967295 images of 4294967295 x 4294967295 bytes, but 1 bytes follow");
  copy_golden("text.gz", "text.gz");
  refused("idx", "text.gz", "IDX magic number");
  write_text(folder / "cut.gz", read_text(folder / "text.gz").substr(0, 30));
  refused("idx", "cut.gz", "gzip data are cut off after 30 bytes");
  std::string damaged = read_text(folder / "text.gz");
  damaged[damaged.size() - 6] ^= 1;
  write_text(folder / "damaged.gz", damaged);
  refused("cifar10", "damaged.gz", "gzip data are damaged");
  write_text(folder / "batch.bin", std::string(3074, '\1'));
  refused("cifar10", "batch.bin", "3074 bytes are not a multiple of 3073");

  const std::pair<const char*, const char*> arrays[] = {
      {"fortran.npy", "Fortran order"},       {"big_endian.npy", "big-endian"}, {"object.npy", "Python objects"},
      {"structured.npy", "structured array"}, {"complex.npy", "element type"},  {"scalar.npy", "shape (); allowed are"},
      {"gray.png", "is not a .npy file"}};
  for (const auto& [name, says] : arrays) {
    copy_golden(name, name);
    refused("npy", name, says);
  }
  const std::string array = read_text(fs::path(TARN_TEST_DATA) / "io" / "f4.npy");
  write_text(folder / "cut.npy", array.substr(0, array.size() - 1));
  refused("npy", "cut.npy", "but the file holds");
  std::string endless = array;
  endless[8] = endless[9] = '\xff';
  write_text(folder / "endless.npy", endless);
  refused("npy", "endless.npy", ".npy header is cut off");

  refused("patches", "cut.npy", "but the file holds");
  write_npy(folder / "small.npy", Matrix<float>(2, 90).view(), {2, 9, 10});
  refused("patches", "small.npy", "no patch of 12 pixels a side fits into 2 images of 9 x 10 with a border of 4",
          "unit_variance = false\n");
  refused("patches", "small.npy", "pixels have the standard deviation 0");

  fs::create_directory(folder / "images");
  copy_golden("gray.png", "images/a.png");
  write_text(folder / "images" / "b.png", read_text(folder / "images" / "a.png").substr(0, 60));
  refused("png_folder", "images", "b.png: damaged PNG");

  Matrix<float> x(20, 2);
  write_npy(folder / "x.npy", x.view());
  const std::vector<double> labels{0.0, 1e10};
  write_npy(folder / "l.npy", make_npy(std::span(labels), {2}));
  refused("npy", "x.npy", "l.npy: label 10000000000 of item 1", "labels = \"l.npy\"\nclasses = [0]\n");
  write_npy(folder / "u.npy", Matrix<float>(19, 1).view());
  refused("npy", "x.npy", "19 rows of inputs, but x.npy has 20 items", "condition = \"u.npy\"\n");
  refused("npy", "x.npy", "missing.npy: cannot be opened", "condition = \"missing.npy\"\n");
}

TEST_F(Hostile, WrongWeightsLeaveNoFile) {
  const auto safetensors = [](const std::string& header, const std::string& values) {
    std::string text(8, '\0');
    const std::uint64_t size = header.size();
    std::memcpy(text.data(), &size, 8);
    return text + header + values;
  };
  const auto tensor = [](const char* name, int begin, int end) {
    return fmt::format(R"("{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})", name, (end - begin) / 4, begin,
                       end);
  };
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  const std::pair<std::string, std::string> cases[] = {
      {safetensors("{" + tensor("b", 0, 8) + "," + tensor("W_in", 4, 12) + "}", std::string(12, 'v')), "they overlap"},
      {safetensors("{" + tensor("b", 0, 8) + "," + tensor("W_in", 12, 16) + "}", std::string(16, 'v')), "a gap"},
      {safetensors("{" + tensor("b", 0, 8) + "}", "v"), "tensors take 8 bytes, but the file holds 1"},
      {safetensors(R"({"b":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", ""),
       "is larger than any memory"},
      {safetensors(R"({"b":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "vvvv"), "-1 is not a size"},
      {safetensors(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775800,9223372036854775804]}})", ""),
       "tensor \"b\" starts at byte 9223372036854775800"},
      {safetensors(R"({"b":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}})", std::string(16, 'v')), "F128"},
      {safetensors(deep, ""), "JSON is nested more than 3 deep"},
      {safetensors("{" + tensor("b", 0, 0) + "," + tensor("b", 0, 0) + "}", ""), "stands twice"},
      {safetensors("{\"__metadata__\":{\"sigma\":\"1\\n\\u001b[2J\"}}", ""), "metadata \"sigma\" is \"1??[2J\""},
      {safetensors("{", ""), "is not well-formed JSON"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), "its header claims 9223372036854775807 bytes"},
      {"", "safetensors"},
  };
  for (const auto& [bytes, says] : cases) {
    write_text(folder / "w.safetensors", bytes);
    expect_refused("import w.safetensors --nonlinearity relu --out new.safetensors", 1, says);
  }
  expect_refused("inspect w.safetensors", 1, "w.safetensors: ");
  expect_refused("sample w.safetensors --chains 3 --out draws", 1, "w.safetensors: ");

  const std::pair<const char*, const char*> archives[] = {{"bomb.npz", "holds no sampling network"},
                                                          {"stored.npz", "array"},
                                                          {"text.gz", "neither"},
                                                          {"f4.npy", "neither"}};
  for (const auto& [name, says] : archives) {
    copy_golden(name, "w.npz");
    expect_refused("import w.npz --nonlinearity relu --out new.safetensors", 1, says);
  }
  // a central directory that claims 2^32 - 2 bytes for its first entry, and one that claims 1032 times what is there
  const std::string archive = read_text(fs::path(TARN_TEST_DATA) / "io" / "deflated.npz");
  const auto at = archive.find("PK\x01\x02") + 24;
  for (const auto& [claim, says] : {std::pair{std::string("\xfe\xff\xff\xff"), "entry claims 4294967294 bytes from"},
                                    std::pair{std::string("\x10\x27\0\0", 4), "W_in.npy: entry is"}}) {
    write_text(folder / "w.npz", std::string(archive).replace(at, 4, claim));
    expect_refused("inspect w.npz", 1, says);
  }
}

TEST_F(Hostile, WhatAFileSaysCannotMoveTheCursor) {
  TensorFile file;
  file.put_vector("name\n\x1b[2J", std::vector<float>{1.0F});
  file.metadata["key\x1b[1A"] = "value\nwith a line";
  write_safetensors(folder / "w.safetensors", file);
  const Outcome outcome = tarn("inspect w.safetensors");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("name??[2J"));
  EXPECT_THAT(outcome.out, HasSubstr("value?with a line"));
}

TEST_F(Hostile, FoldersThatCannotBeWritten) {
  const std::string run = trained();
  Matrix<float> points(3, 1);
  write_npy(folder / "p.npy", points.view());
  std::vector<std::string> places{"/dev/null/x", "tiny.toml/x", "/proc/x"};
  if (::geteuid() != 0) {  // root may write anywhere
    fs::create_directory(folder / "closed");
    fs::permissions(folder / "closed", fs::perms::owner_read | fs::perms::owner_exec);
    places.emplace_back("closed/x");
  }
  for (const std::string& place : places) {
    expect_refused("-q run tiny.toml --out " + place, 1, place);
    expect_refused("-q sample " + run + " --out " + place, 1, place);
    expect_refused("-q score " + run + " --at p.npy --out " + place + ".npy", 1, place);
    expect_refused("-q export " + run + " --out " + place + ".npz", 1, place);
    expect_refused("-q import " + run + "/weights.safetensors --out " + place + ".safetensors", 1, place);
    expect_refused("-q merge " + run + "/samples --out " + place + ".nc", 1, place);
  }
}

TEST_F(Hostile, AFullDiskLeavesWholeFilesOnly) {
  const std::string run = trained();
  const auto whole = files_below(folder / run);
  const auto largest = [&](const char* name) { return static_cast<int>(whole.at(name).size() / 512); };
  // Limits that refuse, in turn: everything, the config, the metrics, a segment, the joined draws.
  std::vector<int> limits{0, 2, 6, largest("samples/part-000000.nc"), largest("samples.nc")};
  if (test::sanitized) limits.erase(limits.begin());  // LLVM's OpenMP writes a kilobyte before the program begins
  for (const int limit : limits) {
    const std::string out = "full" + std::to_string(limit);
    const Outcome outcome = tarn("-q run tiny.toml --threads 1 --out " + out, limit);
    EXPECT_EQ(outcome.code, 1) << limit << "\n" << outcome.err;
    const auto lines = lines_of(outcome.err);
    ASSERT_FALSE(lines.empty()) << limit;
    EXPECT_TRUE(lines.back().starts_with("tarn: ")) << outcome.err;
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) EXPECT_TRUE(lines[i].starts_with("warning: ")) << outcome.err;
    ASSERT_TRUE(fs::exists(folder / out));
    for (const auto& [name, bytes] : files_below(fs::directory_iterator(folder / out)->path())) {
      EXPECT_EQ(name.find(".tmp"), std::string::npos) << limit << ": " << name;
      if (name == "log.txt") continue;
      if (name.ends_with(".jsonl")) {
        EXPECT_TRUE(bytes.empty() || bytes.back() == '\n') << limit << ": half a line in " << name;
      } else if (name == "samples/manifest.json") {
        EXPECT_NO_THROW(parse_manifest(bytes, name)) << limit;
      } else if (name.starts_with("checkpoints/state-")) {  // gone from a whole run
        EXPECT_NO_THROW(parse_safetensors(as_byte_view(bytes), name)) << limit;
      } else if (name == "samples.nc") {  // says when it was made
        test::expect_same_draws(fs::directory_iterator(folder / out)->path() / name, folder / run / name);
      } else {
        ASSERT_TRUE(whole.contains(name)) << limit << ": " << name;
        EXPECT_TRUE(bytes == whole.at(name)) << limit << ": " << name << " is not what a whole run writes";
      }
    }
  }

  if (test::sanitized) return;  // these files are smaller than that kilobyte
  const Matrix<float> points(2000, 1);
  write_npy(folder / "p.npy", points.view());
  const auto before = files_below(folder);
  for (const std::string& command :
       {"score " + run + " --at p.npy --out new.npy", "export " + run + " --out new.npz",
        "import " + run + "/weights.safetensors --out new.safetensors", "merge " + run + "/samples --out new.nc"}) {
    const Outcome outcome = tarn("-q " + command, 1);
    EXPECT_EQ(outcome.code, 1) << command << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, testing::MatchesRegex("tarn: [^\n]*new\\.[^\n]*\n")) << command;
    EXPECT_TRUE(files_below(folder) == before) << command << " left something behind";
  }
}

}  // namespace
}  // namespace tarn
