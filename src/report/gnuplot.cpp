#include "tarn/report/gnuplot.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

// Removes its file at the end, whatever happened.
struct TemporaryFile {
  fs::path path;
  ~TemporaryFile() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

// The environment without what would change the picture.
std::vector<std::string> clean_environment() {
  std::vector<std::string> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const bool changes_output = text.starts_with("GNUPLOT") || text.starts_with("GNUTERM") || text.starts_with("LC_") ||
                                text.starts_with("LANG") || text.starts_with("SOURCE_DATE");
    if (!changes_output) result.emplace_back(text);
  }
  result.emplace_back("LC_ALL=C.UTF-8");
  return result;
}

// Runs gnuplot on a script file. Empty where all went well, otherwise one line that says why not.
std::string run_gnuplot(const std::string& program, const fs::path& script, const fs::path& messages) {
  std::vector<std::string> arguments{program, "-d", script.string()}, environment = clean_environment();
  std::vector<char*> argv, envp;
  for (auto& a : arguments) argv.push_back(a.data());
  for (auto& e : environment) envp.push_back(e.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  pid_t child = 0;
  const int error = posix_spawnp(&child, program.c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return program + " was not found (Debian: apt-get install gnuplot-nox)";
  if (error != 0) return program + " did not start: " + std::strerror(error);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return program + " could not be waited for: " + std::strerror(errno);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return program + " could not be run";
  // gnuplot prints the offending line, a caret, and then the reason
  std::ifstream in(messages);
  std::string line, last = "no message";
  while (std::getline(in, line)) {
    if (line.find_first_not_of(" ^\t") != std::string::npos) last = line.substr(0, 200);
  }
  return program + " failed: " + last;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// gnuplot names every curve by the command that drew it, which browsers show as a tooltip.
void erase_titles(std::string& svg) {
  constexpr std::string_view end_tag = "</title>";
  for (std::size_t begin = svg.find("<title>"); begin != std::string::npos; begin = svg.find("<title>", begin)) {
    const std::size_t end = svg.find(end_tag, begin);
    if (end == std::string::npos) return;
    svg.erase(begin, end + end_tag.size() - begin);
  }
}

std::atomic<bool> warned{false};

FigureFile give_up(const std::string& reason) {
  if (!warned.exchange(true)) warn("no figures: {}", reason);
  return {};
}

}  // namespace

FigureFile draw(const Figure& figure, const fs::path& folder, const FigureOptions& options) {
  const TemporaryFile script{folder / ("." + figure.name + ".gp.tmp")},
      messages{folder / ("." + figure.name + ".log.tmp")};
  const TemporaryFile svg{folder / ("." + figure.name + ".svg.tmp")}, png{folder / ("." + figure.name + ".png.tmp")};
  const std::string text = gnuplot_script(figure, svg.path.string(), options.png ? png.path.string() : "");
  try {
    fs::create_directories(folder);
    std::ofstream file(script.path, std::ios::binary);
    file << text;
    file.close();
    if (!file) return give_up("cannot write " + script.path.string());
    if (const std::string problem = run_gnuplot(options.gnuplot, script.path, messages.path); !problem.empty()) {
      return give_up(problem);
    }
    std::string drawing = read_text_file(svg.path);
    if (drawing.find("</svg>") == std::string::npos) return give_up(options.gnuplot + " wrote no complete SVG");
    erase_titles(drawing);
    replace_all(drawing, "font-family=\"Helvetica\"",
                "font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\"");
    FigureFile result{folder / (figure.name + ".svg"), {}};
    write_file_atomically(result.svg, drawing);
    if (options.png && fs::exists(png.path) && fs::file_size(png.path) > 0) {
      result.png = folder / (figure.name + ".png");
      publish_file(png.path, result.png);
    }
    return result;
  } catch (const std::exception& error) {
    return give_up(error.what());
  }
}

}  // namespace tarn
