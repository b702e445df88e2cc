#!/usr/bin/env python
"""Thousands of damaged and hostile files through the confined parser: no crash, no hang, no growth, a reason each.

    python scripts/malformed_corpus.py                     # 5,600 files, result in docs/clinic/malformed.{json,md}
    python scripts/malformed_corpus.py --count 200 --out /tmp/corpus

An interrupted run goes on where the last whole step ended.
The files are made from pydicom's own test files, those of pydicom-data where it is installed, and drawn phantoms as
DICOM, PNG and JPEG; the same seed makes the same files.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import struct
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from radiolucent.clinic.intake import DamagedUpload, Limits, UnfitUpload, parse, prewarm
from radiolucent.phantom.dicom import build_dataset
from radiolucent.phantom.film import PhantomCase, draw_case

ROOT = Path(__file__).resolve().parent.parent
LIMITS = Limits(memory_mb=1024, cpu_s=10, wall_s=10.0, pixels=64_000_000)
LARGEST_BASE = 8 << 20
LONGEST_S = 10.0
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_NUMBERS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation")
_ODD_TEXTS = ("", "\\", "0", "-1", "1e400", "NaN", "9" * 400, "\x00", "\x1b$)C", "../../etc/passwd", "A" * 70000, "张")


@dataclass
class Result:
    """What became of the files of one kind."""

    files: int = 0
    opened: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_mb: float = 0.0


def bases() -> dict[str, list[bytes]]:
    """Sound and already damaged files to start from, by format; ``dicom`` are those that pass as a chest film, so that
    what is done to them reaches the decoders, ``other dicom`` all the rest."""
    other = [path.read_bytes() for path in _packaged() if path.stat().st_size <= LARGEST_BASE]
    dicom = [film for content in other if (film := _as_chest_film(content))]
    for seed in (1, 2):
        case = draw_case(seed)
        header = build_dataset(case)
        dicom.append(_saved(header))
        for syntax in (RLELossless, JPEG2000Lossless):
            packed = build_dataset(case)
            packed.compress(syntax)
            dicom.append(_saved(packed))
    film = draw_case(3).film
    deep = film.astype(np.uint16) * 257
    png = [_picture(film, "PNG"), _picture(deep, "PNG"), _picture(np.stack([film] * 3, axis=-1), "PNG")]
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a name in the description"
    jpeg = [
        _picture(film, "JPEG"),
        _picture(np.stack([film] * 3, axis=-1), "JPEG", exif=exif, progressive=True),
    ]
    return {"dicom": dicom, "other dicom": other, "png": png, "jpeg": jpeg}


def _as_chest_film(content: bytes) -> bytes | None:
    """A test file's pixels behind the header of a chest film; None where it has none or is too damaged."""
    try:
        header = dcmread(io.BytesIO(content))
        if "PixelData" not in header or len(content) > 1 << 20:
            return None
        header.Modality, header.BodyPartExamined = "CR", "CHEST"
        for keyword in ("AnatomicRegionSequence", "StudyDescription", "SeriesDescription", "ProtocolName"):
            if keyword in header:
                del header[keyword]
        return _saved(header)
    except Exception:  # already damaged: it takes part as it is
        return None


def files(count: int, seed: int, first: int = 0) -> Iterator[tuple[str, bytes]]:
    """(kind, content): every base as it is, then made ones from number ``first`` to before ``count``; the bases only
    where it begins at 0."""
    held = bases()
    if first == 0:
        yield from _as_they_are(held)
    for index in range(first, count):
        yield one_file(held, seed, index)


def _as_they_are(held: dict[str, list[bytes]]) -> Iterator[tuple[str, bytes]]:
    for form, contents in held.items():
        for content in contents:
            yield f"{form} as it is", content
    for path in _packaged():
        if path.stat().st_size > LARGEST_BASE:
            yield "dicom as it is", path.read_bytes()


def one_file(held: dict[str, list[bytes]], seed: int, index: int) -> tuple[str, bytes]:
    """(kind, content) of one made file; the same seed and index make the same file."""
    chance = random.Random(f"{seed} {index}")
    kind = chance.choices(tuple(_MAKERS), [weight for weight, _ in _MAKERS.values()])[0]
    return kind, _MAKERS[kind][1](held, chance)


def examine(contents: Iterator[tuple[str, bytes]], folder: Path, progress: Callable[[int], None]) -> dict[str, Any]:
    """Parse every file; what breaks the promise is listed with the number that makes it again."""
    results: dict[str, Result] = {}
    broken: list[dict[str, Any]] = []
    started = time.monotonic()
    prewarm()
    for total, (kind, content) in enumerate(contents, start=1):
        result = results.setdefault(kind, Result())
        result.files += 1
        path = folder / "upload"
        path.write_bytes(content)
        began = time.monotonic()
        fault = ""
        try:
            parsed = parse([path], LIMITS)
            seconds, peak = parsed.seconds, parsed.peak_mb
            result.opened += 1
            if parsed.originals[0] != content:
                path.write_bytes(parsed.originals[0])
                again = parse([path], LIMITS)
                if again.study.source.sha256 != parsed.study.source.sha256:
                    fault = "the stored original opens as another picture"
        except (DamagedUpload, UnfitUpload) as refusal:
            seconds, peak = refusal.seconds, refusal.peak_mb
            result.refused[refusal.reason.code] += 1
            if not refusal.reason.en or not refusal.reason.zh:
                fault = "no reason"
            if refusal.reason.code == "crashed":
                fault = "the confined process died of a signal"
        except Exception as error:  # what must never happen is what is counted
            seconds, peak, fault = time.monotonic() - began, 0.0, f"untyped {type(error).__name__}"
        result.slowest_s, result.peak_mb = max(result.slowest_s, seconds), max(result.peak_mb, peak)
        if seconds > LONGEST_S + 0.5:
            fault = fault or "hang"
        if peak > LIMITS.memory_mb:
            fault = fault or "memory over the limit"
        if fault:
            broken.append({"number": total, "kind": kind, "fault": fault})
        progress(total)
    return {
        "broken": broken,
        "limit_mb": LIMITS.memory_mb,
        "seconds": round(time.monotonic() - started),
        "kinds": {
            kind: {
                "files": one.files,
                "opened": one.opened,
                "refused": dict(one.refused.most_common()),
                "slowest_s": round(one.slowest_s, 2),
                "peak_mb": round(one.peak_mb),
            }
            for kind, one in sorted(results.items())
        },
    }


def summed(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Results of several runs, each over its own files, as one."""
    kinds: dict[str, dict[str, Any]] = {}
    for kind, one in ((kind, one) for part in parts for kind, one in part["kinds"].items()):
        held = kinds.setdefault(kind, {"files": 0, "opened": 0, "refused": {}, "slowest_s": 0.0, "peak_mb": 0})
        held["files"] += one["files"]
        held["opened"] += one["opened"]
        held["refused"] = dict((Counter(held["refused"]) + Counter(one["refused"])).most_common())
        held["slowest_s"] = max(held["slowest_s"], one["slowest_s"])
        held["peak_mb"] = max(held["peak_mb"], one["peak_mb"])
    every = list(kinds.values())
    return {
        "files": sum(one["files"] for one in every),
        "opened": sum(one["opened"] for one in every),
        "refused": sum(sum(one["refused"].values()) for one in every),
        "broken": [entry for part in parts for entry in part["broken"]],
        "slowest_s": max(one["slowest_s"] for one in every),
        "peak_mb": max(one["peak_mb"] for one in every),
        "limit_mb": LIMITS.memory_mb,
        "seconds": sum(part["seconds"] for part in parts),
        "reasons": dict(sum((Counter(one["refused"]) for one in every), Counter()).most_common()),
        "kinds": dict(sorted(kinds.items())),
    }


def page(result: dict[str, Any], seed: int) -> str:
    """The result for people."""
    lines = [
        "# Damaged and hostile files",
        "",
        f"`python scripts/malformed_corpus.py --seed {seed}` made {result['files']:,} files and opened each in the "
        "confined process that uploads go through.",
        "",
        "| what | result |",
        "|---|---|",
        f"| files | {result['files']:,} |",
        f"| opened | {result['opened']:,} |",
        f"| refused, each with a reason in English and Chinese | {result['refused']:,} |",
        f"| promise broken (untyped error, dead process, hang over {LONGEST_S:g} s, memory over the limit, "
        f"another picture stored) | {len(result['broken'])} |",
        f"| slowest | {result['slowest_s']} s |",
        f"| most resident memory of a process (its limit: {result['limit_mb']} MB of address space) | "
        f"{result['peak_mb']} MB |",
        "",
        "Where the stored original (preamble zeroed, metadata of pictures removed) differs from the file that came, it "
        "was opened again and had to show the same picture.",
        "",
        "| kind | files | opened | refused, most frequent reasons | slowest, s | memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for kind, one in result["kinds"].items():
        reasons = ", ".join(f"{code} {number}" for code, number in list(one["refused"].items())[:4])
        lines.append(
            f"| {kind} | {one['files']} | {one['opened']} | {reasons} | {one['slowest_s']} | {one['peak_mb']} |"
        )
    for one in result["broken"]:
        lines.append(f"\nBroken: number {one['number']} ({one['kind']}): {one['fault']}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the corpus."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=5200, help="files to make, beside the bases")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--step", type=int, default=1000, help="files after which the result so far is kept")
    options.add_argument("--steps", type=int, default=0, help="end after so many steps; the next run goes on (0: all)")
    options.add_argument("--out", type=Path, default=ROOT / "docs" / "clinic")
    chosen = options.parse_args()
    warnings.simplefilter("ignore")  # pydicom's on the values that are written wrong on purpose
    chosen.out.mkdir(parents=True, exist_ok=True)
    kept = chosen.out / "malformed.part.json"
    held = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {"seed": chosen.seed, "parts": []}
    if held["seed"] != chosen.seed:
        options.error(f"{kept} holds another seed's steps; delete it to begin anew.")
    done = len(held["parts"])
    starts = range(0, chosen.count, chosen.step)
    for first in starts[done : done + chosen.steps if chosen.steps else None]:
        with tempfile.TemporaryDirectory() as folder:
            part = files(min(first + chosen.step, chosen.count), chosen.seed, first)
            held["parts"].append(examine(part, Path(folder), _progress))
        kept.write_text(json.dumps(held), encoding="utf-8")
    result = {**summed(held["parts"]), "seed": chosen.seed}
    if len(held["parts"]) == len(starts):
        text = json.dumps(result, indent=2, ensure_ascii=False)
        (chosen.out / "malformed.json").write_text(text + "\n", encoding="utf-8")
        (chosen.out / "malformed.md").write_text(page(result, chosen.seed), encoding="utf-8")
        kept.unlink()
    print(
        f"{result['files']} files: {result['opened']} opened, {result['refused']} refused; broken: {result['broken']}"
    )


def _progress(number: int) -> None:
    if number % 100 == 0:
        print(number, flush=True)


def _packaged() -> list[Path]:
    """pydicom's test files and, where installed, pydicom-data's."""
    folders = [Path(str(resources.files("pydicom"))) / "data" / "test_files"]
    with contextlib.suppress(ModuleNotFoundError):  # pydicom-data is optional; the page says how many files there were
        folders.append(Path(str(resources.files("data_store"))) / "data")
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def _saved(header: Dataset) -> bytes:
    stream = io.BytesIO()
    header.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _picture(values: np.ndarray, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, form, **options)
    return stream.getvalue()


# -- makers: each takes the bases and a source of chance, and gives one file --


def _any_base(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    weighted = ("dicom", "dicom", "dicom", "other dicom", "png", "jpeg")
    return chance.choice(held[chance.choice(weighted)])


def _place(content: bytes, chance: random.Random) -> int:
    """A position, the first 3,000 bytes as likely as all the rest."""
    return chance.randrange(min(3000, len(content)) if chance.random() < 0.5 else len(content))


def _truncated(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    content = _any_base(held, chance)
    return content[: max(1, _place(content, chance))]


def _bits_flipped(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    content = bytearray(_any_base(held, chance))
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        content[_place(content, chance)] ^= 1 << chance.randrange(8)
    return bytes(content)


def _bytes_overwritten(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    content = bytearray(_any_base(held, chance))
    start = _place(content, chance)
    length = chance.choice((1, 2, 4, 16, 256, 4096))
    fill = chance.choice((b"\x00", b"\xff", b"\x80", chance.randbytes(1)))
    content[start : start + length] = fill * min(length, len(content) - start)
    return bytes(content)


def _spliced(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    first, second = _any_base(held, chance), _any_base(held, chance)
    return first[: _place(first, chance)] + second[_place(second, chance) :]


def _inserted(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    content = _any_base(held, chance)
    at = _place(content, chance)
    return content[:at] + chance.randbytes(chance.choice((1, 2, 3, 17, 500))) + content[at:]


def _phantom(chance: random.Random) -> Dataset:
    return build_dataset(_case(chance.choice((1, 2))))


@cache
def _case(seed: int) -> PhantomCase:
    return draw_case(seed)


def _numbers_lie(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    header = _phantom(chance)
    for keyword in chance.sample(_NUMBERS, chance.randint(1, 3)):
        setattr(header, keyword, chance.choice((0, 1, 2, 3, 7, 8, 9, 16, 17, 32, 64, 511, 513, 30000, 65535)))
    if chance.random() < 0.4:
        header.NumberOfFrames = str(chance.choice((-1, 0, 1, 2, 1000, 10**9)))
    return _saved(header)


def _texts_mutated(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    header = _phantom(chance)
    texts = [one for one in header if one.VR in ("CS", "LO", "SH", "PN", "DA", "TM", "DS", "IS", "UI", "AS", "ST")]
    for element in chance.sample(texts, chance.randint(1, 4)):
        element._value = chance.choice(_ODD_TEXTS)
    if chance.random() < 0.3:
        charset = chance.choice(("GB18030", "ISO_IR 100", "\\ISO 2022 IR 58", "NONSENSE", "", "ISO_IR 192\\GBK"))
        header.SpecificCharacterSet = charset.split("\\")
    try:
        return _saved(header)
    except Exception:  # pydicom refuses to write some of it: damage the bytes instead
        return _lengths_lie(held, chance)


def _elements(content: bytes) -> list[int]:
    """Positions of explicit little-endian elements whose VR can be seen, behind the preamble."""
    known = (b"CS", b"UI", b"LO", b"SH", b"US", b"DS", b"IS", b"PN", b"SQ", b"OW", b"OB", b"DA", b"TM", b"UL", b"LT")
    return [at - 4 for at in range(136, min(len(content) - 8, 6000)) if content[at : at + 2] in known]


def _lengths_lie(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    content = bytearray(chance.choice(held["dicom"]))
    places = _elements(bytes(content))
    for at in chance.sample(places, min(len(places), chance.choice((1, 1, 2, 5)))):
        lie = chance.choice(_EXTREMES)
        if content[at + 4 : at + 6] in (b"SQ", b"OW", b"OB"):
            content[at + 8 : at + 12] = struct.pack("<I", lie)
        else:
            content[at + 6 : at + 8] = struct.pack("<H", lie & 0xFFFF)
    return bytes(content)


def _tags_mutated(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    content = bytearray(chance.choice(held["dicom"]))
    places = _elements(bytes(content))
    for at in chance.sample(places, min(len(places), chance.choice((1, 2, 6)))):
        if chance.random() < 0.5:
            content[at : at + 4] = chance.randbytes(4)
        else:
            content[at + 4 : at + 6] = chance.choice((b"SQ", b"UN", b"OB", b"US", b"FD", b"AT", b"zz", b"\0\0"))
    return bytes(content)


def _nested(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    """Sequences in sequences, of defined or undefined length, thousands deep."""
    content = _saved(_phantom(chance))
    depth = chance.choice((5, 50, 400, 1000, 3000, 20000))
    undefined = chance.random() < 0.7
    inner = b""
    if undefined:
        opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        closing = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        inner = opening * depth + closing * (depth if chance.random() < 0.8 else depth // 2)
    else:
        for _ in range(min(depth, 3000)):
            item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
            inner = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, len(item)) + item
    at = content.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    return content[:at] + inner + content[at:]


def _bomb(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    """A few kilobytes that ask for gigabytes."""
    kind = chance.choice(("native", "rle", "jpeg2000", "deflated", "png header", "png real", "jpeg header", "frames"))
    if kind == "png header":
        content = bytearray(chance.choice(held["png"]))
        content[16:24] = struct.pack(">II", chance.choice((30000, 65535, 2**31 - 1)), chance.choice((30000, 100000)))
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        return bytes(content)
    if kind == "png real":
        side = chance.choice((6000, 12000, 20000))
        packed = zlib.compress(bytes(side + 1) * min(side, 2000), 9)
        chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b""))
        body = (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        )
        return b"\x89PNG\r\n\x1a\n" + b"".join(body)
    if kind == "jpeg header":
        content = bytearray(chance.choice(held["jpeg"]))
        at = next(at for at in range(len(content)) if content[at] == 0xFF and content[at + 1] in (0xC0, 0xC2))
        content[at + 5 : at + 9] = struct.pack(">HH", chance.choice((30000, 65535)), chance.choice((30000, 65535)))
        return bytes(content)
    header = _phantom(chance)
    if kind in ("rle", "jpeg2000"):
        header.compress(RLELossless if kind == "rle" else JPEG2000Lossless)
    if kind == "deflated":
        header.PixelData = bytes(50_000_000)
        header.Rows, header.Columns = 5000, 10000
        header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        return _saved(header)
    if kind == "frames":
        header.NumberOfFrames = str(chance.choice((4096, 100_000, 2**31 - 1)))
        return _saved(header)
    header.Rows = header.Columns = chance.choice((8000, 20000, 30000, 65535))
    return _saved(header)


def _pixels_short(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    header = _phantom(chance)
    if chance.random() < 0.5:
        header.compress(chance.choice((RLELossless, JPEG2000Lossless)))
        data = bytearray(header.PixelData)
        for _ in range(chance.choice((1, 4, 40))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        header.PixelData = bytes(data)
    else:
        header.PixelData = header.PixelData[: 2 * chance.randrange(len(header.PixelData) // 2)]
    return _saved(header)


def _preamble(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    """Another format's header in front of a DICOM file (CVE-2019-11687)."""
    content = chance.choice(held["dicom"])
    magic = chance.choice(
        (b"MZ", b"II*\x00", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%PDF-1.7", b"#!/bin/sh\n", b"PK\x03\x04")
    )
    return (magic + chance.randbytes(128))[:128] + content[128:]


def _png_chunks(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    """Chunks dropped, doubled, reordered or changed, their checksums made right again."""
    content = chance.choice(held["png"])
    chunks, at = [], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], bytearray(content[at + 8 : at + 8 + length])))
        at += 12 + length
    for _ in range(chance.randint(1, 3)):
        action, place = chance.randrange(4), chance.randrange(len(chunks))
        if action == 0 and len(chunks) > 1:
            del chunks[place]
        elif action == 1:
            chunks.insert(place, chunks[place])
        elif action == 2:
            chunks[place], chunks[0] = chunks[0], chunks[place]
        elif chunks[place][1]:
            chunks[place][1][chance.randrange(len(chunks[place][1]))] = chance.randrange(256)
    if chance.random() < 0.3:
        chunks.insert(
            1, (chance.choice((b"tEXt", b"zTXt", b"eXIf", b"acTL", b"iCCP")), bytearray(chance.randbytes(300)))
        )
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + name + bytes(data) + struct.pack(">I", zlib.crc32(name + bytes(data)))
        for name, data in chunks
    )


def _jpeg_segments(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    content = bytearray(chance.choice(held["jpeg"]))
    markers = [at for at in range(2, min(len(content) - 4, 3000)) if content[at] == 0xFF and content[at + 1] >= 0xC0]
    at = chance.choice(markers)
    action = chance.randrange(3)
    if action == 0:
        content[at + 1] = chance.randrange(0xC0, 0x100)
    elif action == 1:
        content[at + 2 : at + 4] = struct.pack(">H", chance.choice((0, 1, 2, 3, 0xFFFF)))
    else:
        content[at:at] = b"\xff" + bytes([chance.randrange(0xE0, 0xF0)]) + struct.pack(">H", 40) + chance.randbytes(38)
    return bytes(content)


def _noise(held: dict[str, list[bytes]], chance: random.Random) -> bytes:
    magic = chance.choice((b"", bytes(128) + b"DICM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"))
    return magic + chance.randbytes(chance.choice((1, 100, 5000, 100_000)))


_Maker = Callable[[dict[str, list[bytes]], random.Random], bytes]
_MAKERS: dict[str, tuple[float, _Maker]] = {
    "truncated": (12, _truncated),
    "bits flipped": (14, _bits_flipped),
    "bytes overwritten": (8, _bytes_overwritten),
    "spliced": (5, _spliced),
    "bytes inserted": (6, _inserted),
    "numbers of the header lie": (8, _numbers_lie),
    "texts of the header mutated": (8, _texts_mutated),
    "lengths lie": (9, _lengths_lie),
    "tags and VRs mutated": (8, _tags_mutated),
    "nested sequences": (3, _nested),
    "decompression bombs": (5, _bomb),
    "pixel data short or damaged": (6, _pixels_short),
    "foreign header in the preamble": (2, _preamble),
    "PNG chunks": (5, _png_chunks),
    "JPEG segments": (5, _jpeg_segments),
    "noise": (2, _noise),
}

if __name__ == "__main__":
    main()
