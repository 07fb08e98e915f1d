#include "training_course.hpp"

namespace tarn {

void add_training_courses(const std::string& step_label, const std::vector<double>& steps,
                          const std::vector<TrainingCourse>& courses, const std::string& caption,
                          const RunFolder& folder, EvaluationOutcome& outcome) {
  if (steps.size() < 2) return;
  Figure figure;
  figure.name = "training";
  figure.columns = static_cast<int>(courses.size());
  figure.height = 340;
  for (const TrainingCourse& course : courses) {
    Panel panel;
    panel.x_label = step_label;
    panel.y_label = course.label;
    panel.series.push_back({"", steps, course.values, Mark::line, colors::learned, 2.0, {}});
    figure.panels.push_back(std::move(panel));
    ReportCurve curve;
    curve.plot = "training_" + course.name;
    curve.name = curve.y_label = course.label;
    curve.x_label = step_label;
    curve.x = steps;
    curve.y = course.values;
    outcome.curves.push_back(std::move(curve));
  }
  if (const FigureFile file = draw(figure, folder.figures()))
    outcome.figures.push_back({file.svg, caption, false, "Training"});
}

}  // namespace tarn
