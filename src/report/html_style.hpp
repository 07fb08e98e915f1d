// The style sheet of the report: light, one column, figures scroll sideways on narrow screens instead of shrinking
// until they cannot be read.
#pragma once

namespace tarn {

inline constexpr const char* html_style = R"css(
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #ffffff; color: #1f2933; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 21px; margin: 0 0 12px; }
p { margin: 0 0 12px; max-width: 72ch; }
.summary { font-size: 18px; color: #52606d; margin-bottom: 24px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 0 0 28px; padding: 0; }
.facts div { border: 1px solid #e4e7eb; border-radius: 8px; padding: 12px 14px; background: #f8fafc; }
.facts dt { font-size: 13px; color: #52606d; }
.facts dd { margin: 0; }
.facts .value { font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; }
.facts .note { font-size: 13px; color: #52606d; }
.warnings { border: 1px solid #f0c36d; border-left-width: 5px; background: #fffaf0; border-radius: 6px; padding: 10px 16px; margin: 0 0 28px; }
.warnings ul { margin: 4px 0 0; padding-left: 20px; }
section { margin: 0 0 40px; }
figure { margin: 20px 0; }
figure .frame { overflow-x: auto; border: 1px solid #e4e7eb; border-radius: 8px; padding: 8px; }
figure svg, figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure img.pixelated { image-rendering: pixelated; }
figcaption { font-size: 14px; color: #52606d; margin-top: 8px; max-width: 80ch; }
.table { overflow-x: auto; margin: 16px 0; }
table { border-collapse: collapse; font-size: 15px; min-width: 50%; }
caption { text-align: left; font-weight: 600; padding: 0 0 6px; }
th, td { padding: 6px 20px 6px 0; border-bottom: 1px solid #e4e7eb; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
thead th { font-weight: 600; font-size: 13px; color: #52606d; border-bottom: 2px solid #cbd2d9; vertical-align: bottom; white-space: normal; max-width: 9em; }
th:last-child, td:last-child { padding-right: 0; }
th:first-child { text-align: left; font-weight: 400; white-space: normal; min-width: 8em; max-width: none; }
thead th:first-child { font-weight: 600; }
.note { font-size: 14px; color: #52606d; }
pre { overflow-x: auto; background: #f8fafc; border: 1px solid #e4e7eb; border-radius: 8px; padding: 14px; font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; margin: 12px 0; }
summary { cursor: pointer; font-size: 21px; font-weight: 700; }
.missing { color: #9b2c2c; }
footer { border-top: 1px solid #e4e7eb; padding-top: 14px; font-size: 13px; color: #52606d; }
@media (max-width: 640px) {
  main { padding: 24px 16px 48px; }
  h1 { font-size: 24px; }
  .summary { font-size: 16px; }
  .facts { grid-template-columns: repeat(2, 1fr); }
  figure svg { min-width: 600px; }
  figure svg.wide { min-width: 880px; }
}
@media print { figure, table, .facts { break-inside: avoid; } main { max-width: none; padding: 0; } }
)css";

}  // namespace tarn
