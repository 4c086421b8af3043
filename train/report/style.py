"""How the page of a report looks: on a screen, light or dark, and on paper."""

from __future__ import annotations

STYLE = """
:root {
  --paper: #ffffff; --ink: #1c2127; --soft: #59636e; --faint: #aab2bb; --line: #dde1e6; --heat: 37, 99, 170;
  --accent: #2563aa; --second: #b4451f; --warn: #fff3d6;
  --arc: #0f7b4f; --diffuse: #2f6fd0; --discrete: #8338b8; --cloudy: #77808a; --moon: #b87700; --clear: #c2326e;
  --unknown: #1c2127;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e3e7ec; --soft: #9aa5b1; --faint: #5a6570; --line: #2b323a; --heat: 92, 158, 230;
    --accent: #6aa9ee; --second: #f08c5e; --warn: #3a2f12;
    --arc: #4cc38a; --diffuse: #6aa9ee; --discrete: #c08af0; --cloudy: #a3adb8; --moon: #e5b04a; --clear: #f07aa8;
    --unknown: #e3e7ec;
  }
}
@media print {
  :root { --paper: #fff; --ink: #000; --soft: #333; }
  body { font-size: 10pt; }
  section, figure, .card, tr { break-inside: avoid; }
  main { max-width: none; padding: 0; }
}
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", sans-serif; font-size: 15px; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.5rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.6rem 0 .5rem; }
p { margin: .6rem 0; max-width: 48rem; }
.lead { font-size: 1.02rem; }
.fine, figcaption { color: var(--soft); font-size: .88rem; }
.warning { background: var(--warn); padding: .7rem 1rem; border-left: 4px solid var(--second); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.tile { border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; }
.tile span { display: block; color: var(--soft); font-size: .85rem; }
.tile b { display: block; font-size: 1.65rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile small { color: var(--soft); font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .32rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 500; }
thead th { color: var(--soft); border-bottom: 1.5px solid var(--faint); vertical-align: bottom; }
th:first-child { text-align: left; padding-left: 0; }
td small { color: var(--soft); }
.last-left td:last-child, .last-left th:last-child { text-align: left; white-space: normal; color: var(--soft); }
.matrix td, .matrix th { text-align: center; padding: .3rem .5rem; }
.matrix th:first-child { text-align: left; white-space: normal; }
.heat { background: rgba(var(--heat), calc(var(--part) * .55)); min-width: 4rem; line-height: 1.25; }
.heat small { display: block; font-size: .75rem; color: inherit; opacity: .75; }
.heat.right { outline: 1.5px solid var(--faint); outline-offset: -1.5px; }
figure { margin: 1rem 0; }
figure svg { max-width: 100%; height: auto; display: block; }
figure svg text { font-family: inherit !important; }
figcaption { margin-top: .3rem; max-width: 44rem; }
.pair { display: flex; flex-wrap: wrap; gap: 2rem; align-items: center; }
.pair figure { max-width: 30rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.4rem, 1fr)); gap: 1.1rem .9rem; }
.card img { width: 100%; height: auto; border-radius: 50%; background: #000; display: block; }
.card p { margin: .4rem 0 0; font-size: .84rem; line-height: 1.35; text-align: center; }
.card small { color: var(--soft); }
"""
