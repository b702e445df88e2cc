"""The extractor against hand-labelled text, and the properties that no text may break."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_text import LANGUAGES, Case, cases, read, score, table

from radiolucent.errors import MalformedInput
from radiolucent.findings import CODES, Finding, ReportFindings, extract_findings, extract_report
from radiolucent.findings.extract import LONGEST_TEXT

ALL = [case for language in LANGUAGES for case in cases(language)]
TRAPS = [case for case in ALL if case.trap]


def _name(case: Case) -> str:
    return case.text[:40]


def test_there_are_enough_labelled_texts_and_half_are_traps() -> None:
    each = [sum(case.language == language for case in ALL) for language in LANGUAGES]
    assert sum(each) >= 400 and min(each) > 0.45 * sum(each)
    assert 2 * len(TRAPS) >= len(ALL)
    assert len({case.text for case in ALL}) == len(ALL)


@pytest.mark.parametrize("case", TRAPS, ids=_name)
def test_trap_is_read_exactly(case: Case) -> None:
    assert read(case.text) == case.says


@pytest.mark.parametrize("language", LANGUAGES)
def test_f1_of_at_least_95_percent_a_language(language: str) -> None:
    labelled = [case for case in ALL if case.language == language]
    scores = score(labelled)
    exact = sum(read(case.text) == case.says for case in labelled) / len(labelled)
    print(f"\n{table(language, scores)}\n{len(labelled)} texts, {exact:.1%} read exactly, attributes and all")
    assert scores[""].f1 >= 0.95
    assert exact >= 0.95
    for code in CODES:
        assert scores[code].labelled > 0, f"{code} has no labelled example in {language}"
        assert scores[code].f1 >= 0.9, table(language, scores)


STARRED = {  # the regressions that a probe with fewer rules fails
    "心影不大": [("cardiomegaly", "absent")],
    "两肺未见渗出、实变及结节，心影增大。": [
        ("lung_opacity", "absent"),
        ("consolidation", "absent"),
        ("nodule", "absent"),
        ("cardiomegaly", "present"),
    ],
    "气胸较前吸收，现未见": [("pneumothorax", "absent")],
    "请除外肺炎": [("pneumonia", "uncertain")],
    "除右侧少量积液外，余未见异常": [("pleural_effusion", "present")],
    "未见明显实变，肿块及积液": [("consolidation", "absent"), ("mass", "absent"), ("pleural_effusion", "absent")],
    "无明显变化的积液": [("pleural_effusion", "present")],
}


@pytest.mark.parametrize("text", STARRED)
def test_known_regressions_of_chinese_readers(text: str) -> None:
    assert [(finding.code, finding.polarity) for finding in extract_findings(text)] == STARRED[text]


@pytest.mark.parametrize(
    ("text", "normal"),
    [(case.text, case.normal) for case in ALL if case.normal is not None],
    ids=lambda value: str(value)[:40],
)
def test_a_blanket_statement_sets_the_flag_and_denies_no_code(text: str, normal: bool) -> None:
    report = extract_report(text)
    assert report.normal is normal
    assert report.unmatched == ()


def _words(text: str, spans: tuple[tuple[int, int], ...]) -> list[str]:
    return [text[slice(*span)] for span in spans]


def test_contradictions_are_listed_with_both_statements() -> None:
    text = "右侧胸腔积液。未见胸腔积液。"
    report = extract_report(text)
    (contradiction,) = report.contradictions
    assert contradiction.code == "pleural_effusion"
    assert _words(text, (contradiction.first, contradiction.second)) == ["胸腔积液", "胸腔积液"]
    assert report.findings[0].contradicted
    assert report.findings[0].polarity == "uncertain"


@pytest.mark.parametrize(
    ("text", "polarity", "contradictions"),
    [
        ("No effusion. Small left effusion.", "uncertain", 1),
        ("Small left effusion. The left effusion has resolved.", "absent", 0),
        ("No effusion previously. New small left effusion.", "present", 0),
        ("Possible left effusion. No effusion.", "uncertain", 0),
        ("Left effusion. No new effusion.", "present", 0),
        ("未见气胸。左侧气胸。", "uncertain", 1),
        ("左侧气胸。左侧气胸已吸收。", "absent", 0),
        ("左侧气胸。未见新发气胸。", "present", 0),
    ],
)
def test_the_last_statement_wins_only_with_wording_of_change(text: str, polarity: str, contradictions: int) -> None:
    report = extract_report(text)
    assert [finding.polarity for finding in report.findings] == [polarity]
    assert len(report.contradictions) == contradictions
    assert report.findings[0].contradicted is (contradictions > 0)


def test_unmatched_sentences_are_reported_not_dropped() -> None:
    text = "The wibble is frobnicated. Small left effusion. 主动脉迂曲。"
    report = extract_report(text)
    assert _words(text, report.unmatched) == ["The wibble is frobnicated.", "主动脉迂曲。"]


def test_sections_and_questions_that_assert_nothing_are_kept_apart() -> None:
    text = "HISTORY: pneumothorax.\nFINDINGS: Small left effusion. Is there a nodule?"
    report = extract_report(text)
    assert _words(text, report.not_asserting) == ["pneumothorax.", "Is there a nodule?"]
    assert [finding.code for finding in report.findings] == ["pleural_effusion"]


@pytest.mark.parametrize(
    "heading", ["检查所见", "影像表现", "诊断意见", "印象", "FINDINGS", "IMPRESSION", "Conclusion"]
)
def test_these_sections_assert(heading: str) -> None:
    assert [finding.polarity for finding in extract_findings(f"{heading}：气胸")] == ["present"]
    assert [finding.polarity for finding in extract_findings(f"【{heading}】\n气胸")] == ["present"]


@pytest.mark.parametrize(
    "heading", ["INDICATION", "HISTORY", "COMPARISON", "TECHNIQUE", "病史", "检查目的", "检查方法", "建议"]
)
def test_these_sections_do_not_assert(heading: str) -> None:
    assert extract_findings(f"{heading}: pneumothorax. 气胸") == ()


def test_a_nodule_or_mass_never_has_a_severity() -> None:
    for text in ("Large nodule. Severe mass.", "巨大肿块。重度结节。"):
        assert [finding.severity for finding in extract_findings(text)] == [None, None]


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("trace", "minimal"),
        ("tiny", "minimal"),
        ("minimal", "minimal"),
        ("small", "mild"),
        ("mild", "mild"),
        ("moderate", "moderate"),
        ("large", "severe"),
        ("severe", "severe"),
        ("marked", "severe"),
        ("少许", "minimal"),
        ("微量", "minimal"),
        ("少量", "mild"),
        ("轻度", "mild"),
        ("中量", "moderate"),
        ("大量", "severe"),
        ("重度", "severe"),
    ],
)
def test_severity_words(word: str, severity: str) -> None:
    text = f"右侧{word}胸腔积液" if word > "一" else f"{word} right pleural effusion"
    (finding,) = extract_findings(text)
    assert (finding.code, finding.side, finding.severity) == ("pleural_effusion", "right", severity)


@pytest.mark.parametrize(
    ("percent", "severity"),
    [(10, "mild"), (29, "mild"), (30, "moderate"), (50, "moderate"), (51, "severe"), (90, "severe")],
)
def test_the_percentage_of_a_pneumothorax_grades_it(percent: int, severity: str) -> None:
    for text in (
        f"左侧气胸，肺压缩约{percent}%。",
        f"左侧气胸，肺压缩约{percent}％。",
        f"{percent}% left pneumothorax.",
    ):
        (finding,) = extract_findings(text)
        assert (finding.percent, finding.severity) == (percent, severity)


def test_a_severity_in_words_stands_above_the_percentage() -> None:
    (finding,) = extract_findings("左侧少量气胸，肺压缩约35%。")
    assert (finding.percent, finding.severity) == (35, "mild")


def test_what_the_next_sentence_says_of_size_and_margin_belongs_to_the_finding() -> None:
    for text in ("Nodule in the left upper lobe. It measures 8 mm.", "左上肺结节。大小约8mm，边缘毛刺。"):
        (finding,) = extract_findings(text)
        assert finding.size_mm == (8.0,)
        assert extract_report(text).unmatched == ()
    assert ("margin", "spiculated") in finding.attributes


def test_devices_are_told_apart_by_kind() -> None:
    text = "Endotracheal tube and nasogastric tube in place. Right PICC. The left chest tube has been removed."
    found = {finding.side: finding for finding in extract_findings(text)}
    assert found[None].attributes == (("kind", "endotracheal_tube"), ("kind", "gastric_tube"))
    assert found["right"].attributes == (("kind", "central_venous_catheter"),)
    assert (found["left"].polarity, found["left"].change) == ("absent", "resolved")
    assert found["left"].attributes == (("kind", "chest_drain"),)


def test_a_device_that_is_there_and_not_there_is_contradicted() -> None:
    report = extract_report("Chest tube in place. No chest tube.")
    assert [(f.polarity, f.contradicted) for f in report.findings] == [("uncertain", True)]


def test_language_restricts_the_rules() -> None:
    text = "Small left effusion. 未见气胸。"
    assert [finding.code for finding in extract_findings(text, "en")] == ["pleural_effusion"]
    assert [finding.code for finding in extract_findings(text, "zh")] == ["pneumothorax"]
    with pytest.raises(MalformedInput, match="'fr'"):
        extract_findings(text, "fr")


# ---------------------------------------------------------------- any text at all


def _check(text: str, report: ReportFindings) -> None:
    for finding in report.findings:
        _check_spans(text, finding)
    keys = [(finding.code, finding.side) for finding in report.findings]
    assert len(keys) == len(set(keys))
    assert [finding.chars for finding in report.findings] == sorted(finding.chars for finding in report.findings)
    for first, last in (*report.unmatched, *report.normal_statements, *report.not_asserting):
        assert 0 <= first < last <= len(text)
    for contradiction in report.contradictions:
        assert text[slice(*contradiction.first)] and text[slice(*contradiction.second)]


def _check_spans(text: str, finding: Finding) -> None:
    first, last = finding.chars
    assert 0 <= first < last <= len(text)
    assert text[first:last] == finding.words
    assert 0 <= finding.sentence[0] <= first
    assert last <= finding.sentence[1] <= len(text)


WORDS = (
    "No |no |not seen|未见|无|气胸|effusion|积液|心影|增大|，|。|; |, |or |and |right |左侧|possible |考虑|不除外|较前"
)
MORE = (
    "heart is |enlarged|: |1. |- |FINDINGS:|病史：|除|外|肋膈角|消失|**|?|？|İ|ﬁ|8 mm|×|30%|２|％|is there |是否|nodule"
)
ODD = ["\n", "\r\n", "\u200b", "\x00", "\ud800", "\udfff", "\u2028", "\U0001fac1"]
PIECES = st.sampled_from([*WORDS.split("|"), *MORE.split("|"), *ODD])
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=200), st.lists(PIECES, max_size=25).map("".join)
)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_is_read_without_error_and_spans_hold(text: str) -> None:
    _check(text, extract_report(text))


@pytest.mark.parametrize("case", ALL, ids=_name)
def test_spans_hold_on_every_labelled_text(case: Case) -> None:
    _check(case.text, extract_report(case.text))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ALL), st.sampled_from(ALL))
def test_reading_is_deterministic_whatever_was_read_before(first: Case, second: Case) -> None:
    alone = extract_report(first.text)
    both = extract_report(first.text + "\n\n" + second.text)
    assert extract_report(first.text) == alone
    assert extract_report(first.text + "\n\n" + second.text) == both
    _check(first.text + "\n\n" + second.text, both)


@pytest.mark.parametrize(
    "piece",
    [
        "no ",
        "心影",
        "the heart is and size is ",
        "pleural ",
        "、增多",
        "a a a a a, ",
        "影的亦均",
        "no effusion, ",
        "未见",
    ],
)
def test_endless_repetition_is_read(piece: str) -> None:
    text = (piece * 20_000)[:20_000]
    _check(text, extract_report(text))


def test_text_longer_than_any_report_is_refused() -> None:
    with pytest.raises(MalformedInput, match="at most 200,000"):
        extract_findings("a" * (LONGEST_TEXT + 1))


@pytest.mark.parametrize("text", [None, 3, b"No effusion."])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(MalformedInput, match="A report is text"):
        extract_findings(text)  # type: ignore[arg-type]
