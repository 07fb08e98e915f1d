// The style sheet of the report: light, one column and a list of contents beside it where there is room; wide figures and tables scroll
// sideways on narrow screens instead of shrinking until they cannot be read.
#pragma once

namespace tarn {

inline constexpr const char* html_style = R"css(
:root { color-scheme: light; --ink: #1f2933; --soft: #52606d; --line: #dfe3e8; --pale: #f7f9fb; --blue: #0a5c9e; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: #ffffff; color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 32px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.015em; overflow-wrap: anywhere; }
h2 { font-size: 22px; margin: 0 0 12px; padding-top: 6px; letter-spacing: -0.01em; }
p { margin: 0 0 12px; max-width: 76ch; overflow-wrap: break-word; }
a { color: var(--blue); text-decoration: none; }
a:hover { text-decoration: underline; }
button { font: inherit; color: inherit; cursor: pointer; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
.summary { font-size: 18px; color: var(--soft); margin-bottom: 16px; }
.statements { list-style: none; display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 24px; padding: 0; }
.statements li { border: 1px solid var(--line); border-radius: 999px; padding: 3px 14px 3px 6px; font-size: 15px; background: #ffffff; }
.statements li.none { padding-left: 14px; }
.statements .verdict { margin-right: 6px; }
.verdict { display: inline-block; border-radius: 999px; padding: 0 10px; font-size: 13px; font-weight: 600; line-height: 1.6; }
.verdict.good { background: #e0f2e9; color: #0b5a39; }
.verdict.watch { background: #fdf0d0; color: #7a4a00; }
.verdict.bad { background: #fbe0dd; color: #96190f; }
.verdict.good::before { content: "\2713\00a0"; }
.verdict.watch::before { content: "!\00a0"; }
.verdict.bad::before { content: "\2717\00a0"; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(136px, 1fr)); gap: 12px; margin: 0 0 28px; padding: 0; }
.facts div { border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; background: var(--pale); min-width: 0; }
.facts dt { font-size: 13px; color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.facts .value { font-size: 23px; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
.facts .note { font-size: 13px; color: var(--soft); }
.warnings { border: 1px solid #f0c36d; border-left-width: 5px; background: #fffaf0; border-radius: 8px; padding: 10px 16px; margin: 0 0 28px; }
.warnings ul { margin: 4px 0 0; padding-left: 20px; }
.warnings li { overflow-wrap: break-word; }
.contents { font-size: 14px; margin: 0 0 28px; }
.contents ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0; padding: 0; }
section { margin: 0 0 44px; }
figure { margin: 22px 0; position: relative; }
figure .frame { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; padding: 8px; cursor: zoom-in; }
figure svg, figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
img.pixelated { image-rendering: pixelated; }
figcaption { font-size: 14px; color: var(--soft); margin-top: 8px; max-width: 84ch; }
.enlarge { position: absolute; top: 10px; right: 10px; border: 1px solid var(--line); border-radius: 6px; background: rgba(255, 255, 255, 0.92); color: var(--soft); font-size: 12px; padding: 2px 8px; opacity: 0; transition: opacity 0.15s; }
figure:hover .enlarge, .enlarge:focus-visible { opacity: 1; }
.abreast { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 0 20px; }
.abreast figure { margin: 12px 0; min-width: 0; }
.table { overflow-x: auto; margin: 16px 0; }
table { border-collapse: collapse; font-size: 15px; min-width: 50%; }
caption { text-align: left; font-weight: 600; padding: 0 0 6px; }
th, td { padding: 6px 20px 6px 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody tr:hover { background: var(--pale); }
thead th { font-weight: 600; font-size: 13px; color: var(--soft); border-bottom: 2px solid #cbd2d9; vertical-align: bottom; white-space: normal; max-width: 12em; overflow-wrap: break-word; }
thead button { border: 0; background: none; padding: 0; font-weight: 600; text-align: inherit; }
thead button:hover { color: var(--blue); }
th[aria-sort] button::after { content: " \25b2"; font-size: 10px; }
th[aria-sort="descending"] button::after { content: " \25bc"; }
th:last-child, td:last-child { padding-right: 4px; }
th:first-child { text-align: left; font-weight: 400; white-space: normal; min-width: 11em; max-width: none; }
thead th:first-child { font-weight: 600; }
th.words, td.words, th.prose, td.prose { text-align: left; }
td.intervals { white-space: normal; }
td.prose { white-space: normal; min-width: 15em; font-size: 14px; color: var(--soft); }
td.best { font-weight: 600; }
td.best span { font-size: 12px; color: #0b5a39; background: #e0f2e9; border-radius: 999px; padding: 1px 8px; }
.more { -webkit-mask-image: linear-gradient(to left, transparent, #000 48px); mask-image: linear-gradient(to left, transparent, #000 48px); }
.note { font-size: 14px; color: var(--soft); }
pre { overflow-x: auto; background: var(--pale); border: 1px solid var(--line); border-radius: 10px; padding: 14px; font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; margin: 12px 0; }
summary { cursor: pointer; font-size: 22px; font-weight: 700; letter-spacing: -0.01em; }
.missing { color: #96190f; }
footer { border-top: 1px solid var(--line); padding-top: 14px; font-size: 13px; color: var(--soft); overflow-wrap: break-word; }
dialog { width: 96vw; height: 94vh; max-width: none; max-height: none; border: 0; border-radius: 10px; padding: 12px 16px; }
dialog[open] { display: flex; flex-direction: column; gap: 8px; }
dialog::backdrop { background: rgba(15, 23, 32, 0.6); }
dialog .bar { display: flex; gap: 8px; align-items: center; justify-content: flex-end; }
dialog .bar button { border: 1px solid var(--line); border-radius: 6px; background: #ffffff; padding: 4px 14px; }
dialog output { min-width: 4.5em; text-align: center; font-variant-numeric: tabular-nums; }
dialog .stage { flex: 1; overflow: auto; cursor: zoom-in; }
dialog .stage svg, dialog .stage img { display: block; margin: 0 auto; height: auto; max-width: none; }
dialog p { font-size: 14px; color: var(--soft); margin: 0; max-height: 6em; overflow: auto; }
@media (min-width: 1240px) {
  body.long main { max-width: 1232px; display: grid; grid-template-columns: 176px minmax(0, 1fr); column-gap: 40px; padding-left: 8px; padding-right: 8px; }
  body.long main > * { grid-column: 2; }
  body.long .contents { grid-column: 1; grid-row: 1 / span 1000; position: sticky; top: 44px; align-self: start; margin: 8px 0 0; padding-left: 12px; }
  body.long .contents ul { flex-direction: column; gap: 8px; }
}
@media (max-width: 640px) {
  main { padding: 24px 16px 48px; }
  h1 { font-size: 25px; }
  .summary { font-size: 16px; }
  .statements li { border-radius: 14px; font-size: 14px; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .facts .value { font-size: 19px; }
  .contents ul { gap: 6px 16px; }
  table { font-size: 14px; }
  th, td { padding-right: 14px; }
  th:first-child { min-width: 9.5em; }
  td.prose { min-width: 13em; }
  figure svg { min-width: 600px; }
  figure svg.wide { min-width: 820px; }
  dialog { width: 100vw; height: 100dvh; border-radius: 0; padding: 8px; }
  dialog .stage svg { min-width: 0; }
}
@media (hover: none) { .enlarge { opacity: 1; position: static; margin-top: 8px; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print { .contents, .enlarge { display: none; } figure, table, .facts { break-inside: avoid; } main { max-width: none; padding: 0; } }
)css";

}  // namespace tarn
