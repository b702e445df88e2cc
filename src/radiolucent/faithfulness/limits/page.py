"""One page that needs nothing else: suggestions with their films, plots, films to look at, and the table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from radiolucent.faithfulness.limits.gallery import Shown
from radiolucent.faithfulness.limits.labels import (
    FACTORS,
    factor_name,
    finding_name,
    imposed_words,
    outcome_name,
    short_label,
)
from radiolucent.faithfulness.limits.panels import figure
from radiolucent.faithfulness.limits.plots import Plot
from radiolucent.faithfulness.limits.summary import held_words, method_words, nothing_words, notice_words, run_words
from radiolucent.faithfulness.limits.types import Limits, Row

Words = tuple[str, str]  # English, Chinese

TITLE: Words = ("Where the model fails", "模型的薄弱之处")
HEADS: dict[str, Words] = {
    "suggestions": ("What to do", "改进建议"),
    "held": (
        "Imposed conditions not told above: change of recall against the same cases unchanged (among so many, one "
        "interval clear of 0 is no claim)",
        "上文未列出的条件：与同一病例原片相比的检出率变化（比较众多，个别区间不含 0 不足以下结论）",
    ),
    "method": ("How these claims were made", "结论的依据"),
    "plots": ("Plots", "图"),
    "plots_note": (
        "Dots are shares with their 95 % interval; below them hits and counts. Hollow dots rest on fewer than 10. Grey "
        "bands mark the unchanged films of the same cases.",
        "圆点为比例，竖线为95%区间，下方为分子/分母；空心点不足10例。灰底为同一批病例的原片。",
    ),
    "sample": ("As films vary by themselves", "自然变化的属性"),
    "paired": ("One condition imposed, each case its own control", "施加单一条件（病例自身对照）"),
    "films": ("Films to look at", "值得查看的影像"),
    "films_note": (
        "Of each finding the plainest miss first, then typical ones. Outlined: the lesion as planted.",
        "各征象先列最明显的漏诊，再列典型者。轮廓为植入的病变。",
    ),
    "table": ("The table", "数据表"),
    "no_films": ("No miss and no false alarm in the sample.", "样本中没有漏诊和误报。"),
    "missed": ("Missed", "漏诊"),
    "wrong_side": ("Put on a wrong side", "侧别错误"),
    "alarmed": ("Not there, but reported", "误报"),
    "as_it_was": ("as it was", "原片"),
    "report": ("Report", "报告"),
}
COLUMNS: tuple[Words, ...] = (
    ("films", "影像"),
    ("outcome", "指标"),
    ("finding", "征象"),
    ("factor", "属性"),
    ("level", "水平"),
    ("share", "比例"),
    ("95 % interval", "95%区间"),
    ("count", "例数"),
    ("less the unchanged film's", "与原片之差"),
)

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0;background:#f4f5f7;color:#1a1d21;font:15px/1.55 system-ui,"Noto Sans CJK SC","PingFang SC",
"Microsoft YaHei",sans-serif}
main{max-width:1120px;margin:0 auto;padding:20px 24px 60px}
h1{font-size:25px;margin:0 0 4px}h2{font-size:19px;margin:36px 0 8px}h3{font-size:15px;margin:22px 0 8px}
header{display:flex;justify-content:space-between;align-items:flex-start;gap:16px}
button{font:inherit;border:1px solid #b9c0c8;background:#fff;border-radius:6px;padding:4px 12px;cursor:pointer;
white-space:nowrap}
button:focus-visible,summary:focus-visible{outline:3px solid #1c6ea4}
.notice{background:#fff4d6;border:1px solid #e3c878;border-radius:8px;padding:8px 12px;margin:12px 0}
.quiet{color:#4d5761}.card{background:#fff;border:1px solid #d9dde2;border-radius:10px;padding:14px 16px;margin:12px 0}
.card>p{margin:0}.card .films{margin-top:10px}
.films{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:12px}
figure{margin:0;font-size:12.5px;line-height:1.4}figure.pair{grid-column:span 2}
figure img{width:100%;height:auto;display:block;background:#000;border-radius:4px}
.pair .two{display:grid;grid-template-columns:1fr 1fr;gap:12px}figcaption{padding-top:5px;overflow-wrap:anywhere}
.tag{font-weight:600}.plot{background:#fff;border:1px solid #d9dde2;border-radius:10px;padding:10px;margin:10px 0;
overflow-x:auto}.plot svg{display:block}
.scroll{overflow-x:auto}table{border-collapse:collapse;background:#fff;font-size:13px;width:100%}
th,td{border-bottom:1px solid #e4e7eb;padding:3px 8px;text-align:left;white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums}summary{cursor:pointer;padding:6px 0}
html[lang=en] .zh,html[lang=zh] .en{display:none}
@media(max-width:540px){figure.pair{grid-column:span 1}}
@media print{button{display:none}details{display:block}}
"""
_SCRIPT = (
    "document.querySelector('button').onclick=()=>{const h=document.documentElement;"
    "h.lang=h.lang==='en'?'zh':'en';document.title=h.dataset[h.lang]}"
)


def page(limits: Limits, suggested: Sequence[Sequence[Shown]], typical: Sequence[Shown], plots: Sequence[Plot]) -> str:
    """The page in both languages, in the report's language first.

    Parameters
    ----------
    suggested
        Films of each suggestion, in their order.
    typical
        Films of the sample to look at.
    """
    parts = [
        f"<header><h1>{_both(TITLE)}</h1><button type=button>{_both(('中文', 'English'))}</button></header>",
        f'<div class="quiet">{_both(run_words(limits))}</div>',
        f'<div class="notice">{_both(notice_words())}</div>',
        f"<h2>{_both(HEADS['suggestions'])}</h2>",
    ]
    if not limits.suggestions:
        parts.append(f'<div class="card">{_both(nothing_words(limits))}</div>')
    for number, (suggestion, films) in enumerate(zip(limits.suggestions, suggested, strict=True), start=1):
        text = _both((f"{number}. {suggestion.en}", f"{number}. {suggestion.zh}"))
        parts.append(f'<div class="card"><p>{text}</p>{_films(films)}</div>')
    held = "".join(f"<li>{_both(words)}</li>" for words in held_words(limits))
    if held:
        parts.append(f"<h3>{_both(HEADS['held'])}</h3><ul>{held}</ul>")
    parts.append(f"<h3>{_both(HEADS['method'])}</h3><div class=quiet>{_both(method_words(limits))}</div>")
    parts.append(f"<h2>{_both(HEADS['plots'])}</h2><p class=quiet>{_both(HEADS['plots_note'])}</p>")
    for design in ("sample", "paired"):
        chosen = [plot for plot in plots if plot.design == design]
        if chosen:
            parts.append(f"<h3>{_both(HEADS[design])}</h3>")
        for plot in chosen:
            drawn = "".join(
                f'<div class="{shown_in}">{figure(plot.factor, plot.panels, shown_in)}</div>'
                for shown_in in ("en", "zh")
            )
            parts.append(f'<div class="plot">{drawn}</div>')
    if any(film.record.set == "sample" for film in limits.films):
        parts.append(f"<h2>{_both(HEADS['films'])}</h2>")
        note = HEADS["films_note"] if typical else HEADS["no_films"]
        parts.append(f"<p class=quiet>{_both(note)}</p>{_films(typical)}")
    parts.append(f"<h2>{_both(HEADS['table'])}</h2>{_table(limits.rows)}")
    body = "".join(parts)
    first = limits.reading
    return (
        f'<!doctype html><html lang="{first}" data-en="{TITLE[0]}" data-zh="{TITLE[1]}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{TITLE[first == 'zh']}</title><style>{_STYLE}</style></head><body><main>{body}</main>"
        f"<script>{_SCRIPT}</script></body></html>\n"
    )


def row_cells(row: Row, language: str) -> list[str]:
    """A row of the table in words and numbers, one cell a column of ``COLUMNS``."""
    difference = ""
    if row.difference is not None:
        value, low, high = row.difference
        difference = f"{value:+.2f} ({low:+.2f} – {high:+.2f})".replace("-", "−")
    counted = row.share.count > 0
    return [
        {"sample": ("sample", "样本"), "paired": ("paired", "配对")}[row.design][language == "zh"],
        outcome_name(row.outcome, language),
        finding_name(row.code, language),
        factor_name(row.factor, language),
        short_label(row.conditions, language),
        f"{row.share.rate:.3f}" if counted else "–",
        f"{row.share.low:.3f}–{row.share.high:.3f}" if counted else "–",
        f"{row.share.hits}/{row.share.count}",
        difference,
    ]


def _table(rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{_both(column)}</th>" for column in COLUMNS)
    sections = []
    for design, factor in dict.fromkeys((row.design, row.factor) for row in rows):
        body = ""
        for row in rows:
            if (row.design, row.factor) != (design, factor):
                continue
            cells = zip(row_cells(row, "en"), row_cells(row, "zh"), strict=True)
            body += "<tr>" + "".join(
                f"<td{' class=n' if number >= 5 else ''}>{_both(cell)}</td>" for number, cell in enumerate(cells)
            )
        sections.append(
            f"<details><summary>{_both(HEADS[design])}: {_both(FACTORS[factor])}</summary>"
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>'
        )
    return "".join(sections)


def _films(films: Sequence[Shown]) -> str:
    return f'<div class="films">{"".join(_film(shown) for shown in films)}</div>' if films else ""


def _film(shown: Shown) -> str:
    images = [f'<img src="{source}" alt="{escape(report)}">' for source, report in _pictured(shown)]
    caption = f'<span class="tag">{_both(_caption(shown))}</span><br>'
    caption += f"{_both(HEADS['report'])}: “{escape(shown.reports[-1])}”"
    if len(images) == 1:
        return f"<figure>{images[0]}<figcaption>{caption}</figcaption></figure>"
    place = [imposed_words(shown.film.set, shown.film.level, language) for language in ("en", "zh")]
    before = (
        f'<div>{images[0]}<figcaption><span class="tag">{_both(HEADS["as_it_was"])}</span><br>'
        f"{_both(HEADS['report'])}: “{escape(shown.reports[0])}”</figcaption></div>"
    )
    after = f'<div>{images[1]}<figcaption><span class="tag">{_both(place)}</span><br>{caption}</figcaption></div>'
    return f'<figure class="pair"><div class="two">{before}{after}</div></figure>'


def _pictured(shown: Shown) -> list[tuple[str, str]]:
    return list(zip(shown.sources, shown.reports, strict=True))


def _caption(shown: Shown) -> Words:
    en, zh = (finding_name(shown.code, language) for language in ("en", "zh"))
    if shown.lesion is None:
        return f"{HEADS['alarmed'][0]}: {en}", f"{HEADS['alarmed'][1]}：{zh}"
    lesion = shown.lesion
    head = HEADS["wrong_side" if shown.kind == "side" else "missed"]
    sides = {"left": ("left", "左侧"), "right": ("right", "右侧"), "bilateral": ("both sides", "双侧")}
    zones = {"upper": ("upper zone", "上肺野"), "middle": ("middle zone", "中肺野"), "lower": ("lower zone", "下肺野")}
    place = [words for words in (sides.get(lesion.side or ""), zones.get(lesion.zone or "")) if words]
    size = f"{lesion.size_cm:.1f} cm, CNR {lesion.contrast:.1f}"
    return (
        f"{head[0]}: {en}{''.join(', ' + words[0] for words in place)}; {size}",
        f"{head[1]}：{zh}{''.join('，' + words[1] for words in place)}；{size}",
    )


def _both(words: Sequence[str]) -> str:
    """Both languages, of which the page shows one; once where they are the same."""
    en, zh = words
    if en == zh:
        return escape(en)
    return f'<span class="en">{escape(en)}</span><span class="zh" lang="zh">{escape(zh)}</span>'
