#include "tarn/report/report_file.hpp"

#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/io/file.hpp"
#include "tarn/io/strict_json.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int format_version = 1;
constexpr int max_depth = 8;
constexpr Verdict verdicts[] = {Verdict::none, Verdict::good, Verdict::watch, Verdict::bad};

Json numbers(const std::vector<double>& values) {
  Json out = Json::array();
  for (const double v : values) out.push_back(std::isfinite(v) ? Json(v) : Json(nullptr));
  return out;
}

Json table_json(const ReportTable& t) {
  Json json{{"caption", t.caption}, {"columns", t.columns}, {"rows", t.rows}, {"note", t.note}};
  Json words = Json::array();
  for (const Verdict v : t.verdicts) words.push_back(name_of(v));
  json["verdicts"] = std::move(words);
  json["best"] = t.best;
  return json;
}

Json section_json(const ReportSection& s, const fs::path& folder) {
  Json json{{"heading", s.heading}, {"text", s.text}};
  json["tables"] = Json::array();
  for (const ReportTable& t : s.tables) json["tables"].push_back(table_json(t));
  json["figures"] = Json::array();
  for (const ReportFigure& f : s.figures) {
    json["figures"].push_back({{"path", f.path.lexically_relative(folder).generic_string()},
                               {"caption", f.caption},
                               {"pixelated", f.pixelated}});
  }
  json["preformatted"] = s.preformatted;
  json["folded"] = s.folded;
  json["abreast"] = s.abreast;
  return json;
}

// Reads with one line for whatever is not as it should be.
class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path) {
    constexpr std::uint64_t most_bytes = 1 << 28;
    const Bytes bytes = read_file(path, most_bytes);
    json_ = parse_strict_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string(), max_depth);
  }

  Report report() const {
    try {
      return read();
    } catch (const nlohmann::json::exception& error) {
      fail("{}: is not the report of a run ({})", path_.string(), one_line(error.what()));
    }
  }

 private:
  using In = nlohmann::json;

  Report read() const {
    if (const int found = json_.at("format").get<int>(); found != format_version)
      fail("{}: has format {}, expected {}", path_.string(), found, format_version);
    Report r;
    r.title = json_.at("title").get<std::string>();
    r.summary = json_.at("summary").get<std::string>();
    r.footer = json_.at("footer").get<std::string>();
    r.warnings = json_.at("warnings").get<std::vector<std::string>>();
    for (const In& f : json_.at("facts")) r.facts.push_back({text(f, "label"), text(f, "value"), text(f, "note")});
    for (const In& s : json_.at("statements")) r.statements.push_back({text(s, "text"), verdict(s.at("verdict"))});
    for (const In& s : json_.at("sections")) r.sections.push_back(section(s));
    for (const In& c : json_.at("curves")) r.curves.push_back(curve(c));
    return r;
  }

  static std::string text(const In& json, const char* key) { return json.at(key).get<std::string>(); }

  Verdict verdict(const In& json) const {
    const auto word = json.get<std::string>();
    for (const Verdict v : verdicts) {
      if (word == name_of(v)) return v;
    }
    fail("{}: knows no verdict \"{}\"; allowed: good, watch, bad, or none at all", path_.string(), one_line(word));
  }

  ReportTable table(const In& json) const {
    ReportTable t;
    t.caption = text(json, "caption");
    t.columns = json.at("columns").get<std::vector<std::string>>();
    t.rows = json.at("rows").get<std::vector<std::vector<std::string>>>();
    t.note = text(json, "note");
    for (const In& v : json.at("verdicts")) t.verdicts.push_back(verdict(v));
    t.best = json.at("best").get<std::vector<std::vector<std::size_t>>>();
    return t;
  }

  // A page shows what lies in the run's own folder, and nothing else of the machine it is made on.
  fs::path figure_path(const std::string& name) const {
    const fs::path relative = fs::path(name).lexically_normal();
    if (name.empty() || relative.is_absolute() || *relative.begin() == "..")
      fail("{}: names a figure outside of its folder: {}", path_.string(), one_line(name));
    return path_.parent_path() / relative;
  }

  ReportSection section(const In& json) const {
    ReportSection s;
    s.heading = text(json, "heading");
    s.text = text(json, "text");
    for (const In& t : json.at("tables")) s.tables.push_back(table(t));
    for (const In& f : json.at("figures"))
      s.figures.push_back({figure_path(text(f, "path")), text(f, "caption"), f.at("pixelated").get<bool>(), s.heading});
    s.preformatted = text(json, "preformatted");
    s.folded = json.at("folded").get<bool>();
    s.abreast = json.at("abreast").get<bool>();
    return s;
  }

  ReportCurve curve(const In& json) const {
    ReportCurve c;
    c.plot = text(json, "plot");
    c.name = text(json, "name");
    c.x_label = text(json, "x_label");
    c.y_label = text(json, "y_label");
    c.log_y = json.at("log_y").get<bool>();
    c.reference = json.at("reference").get<bool>();
    const auto values = [&](const char* key) {
      std::vector<double> out;
      for (const In& v : json.at(key)) out.push_back(v.is_null() ? std::nan("") : v.get<double>());
      return out;
    };
    c.x = values("x");
    c.y = values("y");
    if (c.x.size() != c.y.size())
      fail("{}: a curve of {} has {} x and {} y", path_.string(), one_line(c.plot), c.x.size(), c.y.size());
    return c;
  }

  fs::path path_;
  In json_;
};

}  // namespace

void save_report(const fs::path& path, const Report& r) {
  Json json{{"format", format_version}, {"title", r.title}, {"summary", r.summary}};
  json["statements"] = Json::array();
  for (const ReportStatement& s : r.statements)
    json["statements"].push_back({{"text", s.text}, {"verdict", name_of(s.verdict)}});
  json["facts"] = Json::array();
  for (const ReportFact& f : r.facts)
    json["facts"].push_back({{"label", f.label}, {"value", f.value}, {"note", f.note}});
  json["warnings"] = r.warnings;
  json["sections"] = Json::array();
  for (const ReportSection& s : r.sections) json["sections"].push_back(section_json(s, path.parent_path()));
  json["curves"] = Json::array();
  for (const ReportCurve& c : r.curves) {
    json["curves"].push_back({{"plot", c.plot},
                              {"name", c.name},
                              {"x_label", c.x_label},
                              {"y_label", c.y_label},
                              {"log_y", c.log_y},
                              {"reference", c.reference},
                              {"x", numbers(c.x)},
                              {"y", numbers(c.y)}});
  }
  json["footer"] = r.footer;
  // texts from elsewhere may be no UTF-8: such bytes become U+FFFD
  write_file_atomically(path, json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Report load_report(const fs::path& path) { return Reader(path).report(); }

}  // namespace tarn
