// The page: what is chosen, what is shown, and the keys. The film starts bare.

import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import {
  findingField,
  profile,
  unpack,
  wordField,
  wordsAt,
  type Claim,
  type FindingMap,
  type Language,
  type Unpacked,
  type ViewerData,
} from "./data";
import { Chain, type Pointer } from "./Chain";
import { Film } from "./Film";
import type { FilmView, Overlay } from "./film";
import { Findings, sentence } from "./Findings";
import { cellOf } from "./geometry";
import { Help } from "./Help";
import { layerName, MapBar, type OverlayMode } from "./MapBar";
import { Place } from "./Place";
import { MarkLegend, Report, WordCard, type Marking } from "./Report";
import { CLAIM, CLAIMS, STRINGS } from "./strings";
import { nextWord } from "./walk";
import { usePageKeys } from "./pagekeys";

type Theme = "dark" | "light" | "auto";
type Subject = { kind: "word"; index: number } | { kind: "finding"; id: string } | null;
interface Cell {
  row: number;
  col: number;
}

const THEMES: Theme[] = ["dark", "light", "auto"];
const LISTED = 8; // words listed for a place
const NONE = new Set<number>();

export function App({ data }: { data: ViewerData }) {
  const [language, setLanguage] = useState<Language>(data.language);
  const [theme, setTheme] = useState<Theme>("dark");
  const [unpacked, setUnpacked] = useState<Unpacked | null>(null);
  const [failed, setFailed] = useState(false);
  const [frameIndex, setFrame] = useState(0);
  const [subject, setSubject] = useState<Subject>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const [focused, setFocused] = useState<number | null>(null);
  const [mode, setMode] = useState<OverlayMode>("off");
  const [style, setStyle] = useState<"outline" | "colour">("outline"); // contour before colour
  const [held, setHeld] = useState(false);
  const [layer, setLayer] = useState(0);
  const [methods, setMethods] = useState<Record<string, string>>({});
  const [opacity, setOpacity] = useState(0.7);
  const [raw, setRaw] = useState(false);
  const [cell, setCell] = useState<Cell | null>(null);
  const [marking, setMarking] = useState<Marking>("findings");
  const [help, setHelp] = useState(false);
  const [step, setStep] = useState<Pointer | null>(null); // of the decision chain, under the pointer or the focus
  const [cursor, setCursor] = useState(() => Math.max(0, data.words.findIndex((word) => word.part === "answer")));
  const viewRef = useRef<FilmView | null>(null);
  const t = STRINGS[language];
  const frame = data.frames[frameIndex]!;

  useEffect(() => {
    unpack(data).then(setUnpacked, () => setFailed(true));
  }, [data]);
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.title = `${data.title[language]} · radiolucent`;
  }, [language]);
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);

  // What is looked at: a word under the pointer or the focus goes before what was chosen.
  const glance = pointed ?? focused;
  // A step without a finding's map shows where its first word attended.
  const stepWord = glance === null && step && !step.finding ? (step.words[0] ?? null) : null;
  const ownWord = step === null && subject?.kind === "word" ? subject.index : null;
  const wordIndex = glance ?? stepWord ?? ownWord;
  const word = wordIndex === null ? null : (data.words[wordIndex] ?? null);
  const chosenId = subject?.kind === "finding" ? subject.id : null;
  const mappedId = step?.finding || chosenId; // whose maps are at hand
  const findingId = word === null ? mappedId : null;
  const finding = data.findings.find((row) => row.id === findingId) ?? null;
  const chosen = data.findings.find((row) => row.id === chosenId) ?? null;

  const available = useMemo(() => ordered(data, mappedId), [data, mappedId]);
  const method = mappedId === null ? null : step?.method || (methods[mappedId] ?? best(available)?.method ?? null);
  const map = available.find((each) => each.method === method) ?? null;
  const withheld = findingId !== null && map !== null && map.withheld;

  const fieldOn = (index: number) => {
    if (!unpacked) return null;
    if (word) return wordField(data, unpacked, word, layer, index);
    return findingId !== null && map ? findingField(data, unpacked, map, index) : null;
  };
  const subjectKey = [data, unpacked, word, findingId, map, layer];
  const field = useMemo(() => fieldOn(frameIndex), [...subjectKey, frameIndex]);
  const strengths = useMemo(
    () => (data.frames.length > 1 ? profile(data.frames.map((_, index) => fieldOn(index))) : []),
    subjectKey,
  );

  const contours = findingId !== null && map ? map.contours.filter((line) => line.frame === frameIndex) : [];
  const boxes = findingId !== null && map ? map.boxes.filter((box) => box.frame === frameIndex) : [];
  const hasOutline = contours.length + boxes.length > 0;
  const asked: OverlayMode = held && mode === "off" ? style : mode;
  const visible: OverlayMode = glance !== null || (step !== null && (field !== null || hasOutline)) ? "colour" : asked === "outline" && !hasOutline ? "colour" : asked;
  const claim: Claim | null = word ? "attended" : (map?.claim ?? null);
  const wordGrid = data.wordMaps?.shape[3] ?? frame.grid;

  const overlay: Overlay = useMemo(
    () => ({
      field: visible === "colour" ? field : null,
      claim: claim ?? "attended",
      opacity,
      raw,
      contours: visible === "off" ? [] : contours,
      boxes: visible === "off" ? [] : boxes,
      cell: cell && { grid: wordGrid, ...cell },
    }),
    [visible, field, claim, opacity, raw, map, frameIndex, cell, findingId],
  );

  const hits = useMemo(
    () => (cell && unpacked ? wordsAt(data, unpacked, layer, frameIndex, cell.row, cell.col) : []),
    [cell, unpacked, layer, frameIndex],
  );
  const heat = useMemo(() => {
    const top = hits[0]?.value ?? 0;
    return new Map(hits.slice(0, LISTED).map((hit) => [hit.word, top > 0 ? hit.value / top : 0]));
  }, [hits]);

  const show = useCallback((next: OverlayMode) => {
    setMode(next);
    if (next !== "off") setStyle(next);
  }, []);

  const pin = (index: number) => {
    setCursor(index);
    if (subject?.kind === "word" && subject.index === index) {
      setSubject(null);
      setMode("off");
    } else {
      setSubject({ kind: "word", index });
      setMode("colour");
    }
  };
  const choose = (id: string) => {
    if (chosenId === id) {
      setSubject(null);
      setMode("off");
      return;
    }
    setSubject({ kind: "finding", id });
    setMode((now) => (now === "off" ? style : now));
    const hottest = best(ordered(data, id));
    const place = hottest?.boxes[0]?.frame ?? hottest?.contours[0]?.frame;
    if (place !== undefined) setFrame(place);
  };
  const clear = () => {
    setCell(null);
    setSubject(null);
    setMode("off");
    setPointed(null);
    setStep(null);
    (document.activeElement as HTMLElement | null)?.blur();
  };
  const chooseStep = (pointer: Pointer) => {
    if (pointer.finding) {
      if (pointer.method) setMethods((now) => ({ ...now, [pointer.finding]: pointer.method }));
      if (chosenId !== pointer.finding || !pointer.method) choose(pointer.finding);
    } else if (pointer.words[0] !== undefined) pin(pointer.words[0]);
  };
  const focusWord = (index: number) => {
    setCursor(index);
    document.querySelector<HTMLElement>(`[data-word="${index}"]`)?.focus();
  };

  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help) return;
    const target = event.target as HTMLElement;
    const slider = target instanceof HTMLInputElement;
    const onFilm = target.classList.contains("viewport");
    const onWord = target.dataset.word !== undefined;
    const step = (value: number, by: number, count: number) => Math.min(count - 1, Math.max(0, value + by));
    const layers = data.wordMaps?.layers.length ?? 1;
    const acts: Record<string, () => void> = {
      "[": () => setLayer((now) => step(now, -1, layers)),
      "]": () => setLayer((now) => step(now, 1, layers)),
      ",": () => setFrame((now) => step(now, -1, data.frames.length)),
      ".": () => setFrame((now) => step(now, 1, data.frames.length)),
      m: () => {
        if (chosenId === null || !available.length) return;
        const next = available[(available.findIndex((each) => each.method === method) + 1) % available.length]!;
        setMethods((now) => ({ ...now, [chosenId]: next.method }));
      },
      d: () => document.querySelector<HTMLElement>("[data-step]")?.focus(),
      g: () => setRaw((now) => !now),
      o: () => setMode((now) => (now === "off" ? style : "off")),
      c: () => show(visible === "outline" ? "colour" : "outline"),
      i: () => viewRef.current?.invert(),
      r: () => viewRef.current?.reset(),
      "+": () => viewRef.current?.zoomBy(1.4),
      "=": () => viewRef.current?.zoomBy(1.4),
      "-": () => viewRef.current?.zoomBy(1 / 1.4),
      "0": () => viewRef.current?.fit(),
      l: () => setLanguage((now) => (now === "en" ? "zh" : "en")),
      t: () => setTheme((now) => THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]!),
      h: () => setHelp(true),
      "?": () => setHelp(true),
      j: () => stepFinding(1),
      k: () => stepFinding(-1),
      v: () => setHeld(true),
      Escape: clear,
    };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = acts[key];
    if (act && !(slider && /^[0+\-=]$/.test(key))) {
      if (!event.repeat || key === "[" || key === "]") act();
      event.preventDefault();
      return;
    }
    if (slider) return;
    if (onWord && (key === "Enter" || key === " ")) {
      pin(Number(target.dataset.word));
      event.preventDefault();
      return;
    }
    if (key.startsWith("Arrow") && !onFilm && (onWord || target === document.body)) {
      const next = onWord ? nextWord(target, key) : cursor;
      if (next !== null) focusWord(next);
      event.preventDefault();
    }
  };
  const stepFinding = (by: number) => {
    const at = data.findings.findIndex((row) => row.id === chosenId);
    const next = data.findings[Math.min(data.findings.length - 1, Math.max(0, at + by))];
    if (next && next.id !== chosenId) choose(next.id);
  };
  usePageKeys(onKey, () => setHeld(false));

  const onFilmKey = (event: KeyboardEvent) => {
    const by: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const move = by[event.key];
    if (event.key === "Enter" || event.key === " ") {
      const middle = Math.floor(wordGrid / 2);
      setCell(cell ? null : { row: middle, col: middle });
    } else if (move && cell) {
      // Only cells that hold some film: never out into the padding.
      const [firstRow, firstCol] = cellOf(frame, wordGrid, 0, 0);
      const [lastRow, lastCol] = cellOf(frame, wordGrid, frame.cols - 0.5, frame.rows - 0.5);
      setCell({
        row: Math.min(lastRow, Math.max(firstRow, cell.row + move[1])),
        col: Math.min(lastCol, Math.max(firstCol, cell.col + move[0])),
      });
    } else if (move && viewRef.current?.zoomed) viewRef.current.panBy(-move[0] * 60, -move[1] * 60);
    else return;
    event.preventDefault();
  };

  // Words for what is shown.
  const subjectName = word ? `“${word.text.trim()}”` : finding ? sentence(finding.text[language]) : t.bare;
  let caption = t.bareHint;
  if (word) caption = word.map === null || !data.wordMaps ? t.noMapWord : CLAIM[language].attended.means;
  else if (finding?.polarity === "absent") caption = t.noMapAbsent;
  else if (finding && !map) caption = t.noMapFinding;
  else if (withheld && map) caption = map.withheldText?.[language] ?? t.withheld;
  else if (map && finding) caption = map.caption?.[language] ?? CLAIM[language][map.claim].means;
  const boxNote =
    visible !== "off" && hasOutline
      ? [claim === "relied_on" ? t.boxNote : t.contourNote, boxes.some((box) => box.origin === "model") ? t.modelBox : ""].join(" ").trim()
      : null;
  const layerShown = word && word.map !== null ? layerName(data.wordMaps?.layers[layer], t) : null;
  const thinkingWords = data.words.some((each) => each.part === "thinking");
  const reportProps = {
    data,
    t,
    cursor,
    pinned: subject?.kind === "word" ? subject.index : null,
    shown: wordIndex,
    evidence: chosen && chosen.end > chosen.start ? ([chosen.start, chosen.end] as [number, number]) : null,
    heat,
    lit: step ? new Set(step.words) : NONE,
    marking,
    onPoint: setPointed,
    onFocus: (index: number | null) => {
      setFocused(index);
      if (index !== null) setCursor(index);
    },
    onPin: pin,
  };
  return (
    <div class="page">
      <header class="top">
        <span class="brand">radiolucent</span>
        <span class="model" title={data.model}>
          {data.model}
        </span>
        <h1>{data.title[language]}</h1>
        <span class="spacer" />
        <div class="segmented" role="group" aria-label="Language / 语言">
          <button type="button" lang="en" aria-pressed={language === "en"} onClick={() => setLanguage("en")}>
            EN
          </button>
          <button type="button" lang="zh-CN" aria-pressed={language === "zh"} onClick={() => setLanguage("zh")}>
            中文
          </button>
        </div>
        <div class="segmented" role="group" aria-label={t.theme}>
          {THEMES.map((each) => (
            <button key={each} type="button" aria-pressed={theme === each} onClick={() => setTheme(each)}>
              {t[each]}
            </button>
          ))}
        </div>
        <button type="button" class="plain" onClick={() => setHelp(true)}>
          {t.help} <kbd>H</kbd>
        </button>
      </header>
      {data.domain === "phantom" && (
        <aside class="banner" aria-label={t.warnings}>
          {t.phantom}
        </aside>
      )}
      <main>
        <div class="left">
          <Film
            t={t}
            frame={frame}
            picture={unpacked?.pictures[frameIndex] ?? null}
            overlay={overlay}
            badge={failed ? t.unpackFailed : withheld && visible !== "off" ? t.withheldBadge : null}
            viewRef={viewRef}
            hasOverlay={field !== null || hasOutline}
            onPlace={(column, row) => {
              const [r, c] = cellOf(frame, wordGrid, column, row);
              setCell(cell && cell.row === r && cell.col === c ? null : { row: r, col: c });
            }}
            onKey={onFilmKey}
            onHold={setHeld}
          />
          {data.frames.length > 1 && (
            <label class="slider frames">
              <span>{t.frame}</span>
              <span class="rail">
                <span class="profile" aria-hidden="true">
                  {visible !== "off" && strengths.map((strength, i) => <i key={i} style={{ height: `${100 * strength}%` }} />)}
                </span>
                <input
                  type="range"
                  min="0"
                  max={data.frames.length - 1}
                  step="1"
                  value={frameIndex}
                  aria-valuetext={frame.label}
                  onInput={(event) => setFrame(Number(event.currentTarget.value))}
                />
              </span>
              <output>
                {frame.label} · {frameIndex + 1}/{data.frames.length}
              </output>
            </label>
          )}
          <MapBar
            t={t}
            language={language}
            heading={{ claim: word || finding ? claim : null, subject: subjectName, layer: layerShown }}
            caption={caption}
            warning={withheld}
            boxNote={boxNote}
            field={visible === "colour" ? field : null}
            units={word ? (data.wordMaps?.units ?? "") : (map?.units ?? "")}
            mode={withheld ? "off" : visible}
            canShow={!withheld}
            hasOutline={hasOutline}
            onMode={show}
            opacity={opacity}
            onOpacity={setOpacity}
            raw={raw}
            onRaw={() => setRaw(!raw)}
            grid={field?.grid ?? wordGrid}
            layers={data.wordMaps?.layers ?? []}
            layer={layer}
            onLayer={setLayer}
            methods={findingId === null ? [] : available}
            method={method}
            onMethod={(name) => mappedId !== null && setMethods({ ...methods, [mappedId]: name })}
          />
        </div>
        <div class="right">
          {data.question && (
            <section class="question">
              <h2>{t.question}</h2>
              <p>{data.question}</p>
            </section>
          )}
          <section class="report">
            <div class="row">
              <h2>{t.report}</h2>
              <span class="ai">{t.aiGenerated}</span>
            </div>
            <Report {...reportProps} part="answer" />
            <MarkLegend data={data} t={t} language={language} />
            {data.words.length > 0 && (
              <div class="marking" role="group" aria-label={t.words}>
                <span class="muted">{t.words}</span>
                {(["findings", "reliance", "probability"] as const).map((each) => (
                  <button key={each} type="button" aria-pressed={marking === each} onClick={() => setMarking(each)}>
                    {each === "findings" ? t.markFindings : each === "reliance" ? t.markReliance : t.markProbability}
                  </button>
                ))}
              </div>
            )}
          </section>
          <section class="inspector" aria-live="polite">
            {cell && glance === null ? (
              <Place
                data={data}
                t={t}
                language={language}
                hits={hits.slice(0, LISTED)}
                onPin={pin}
                onClose={() => setCell(null)}
              />
            ) : (
              <WordCard word={word} t={t} language={language} />
            )}
          </section>
          <section>
            <h2>{t.findings}</h2>
            <Findings data={data} t={t} language={language} chosen={chosenId} onChoose={choose} />
          </section>
          {data.chain.length > 0 && (
            <Chain data={data} t={t} language={language} chosen={chosenId} onPoint={setStep} onChoose={chooseStep} />
          )}
          {data.thinking && (
            <details class="thinking">
              <summary>
                {t.thinking} <small>{t.thinkingNote}</small>
              </summary>
              {thinkingWords ? <Report {...reportProps} part="thinking" /> : <p class="text thinking">{data.thinking}</p>}
            </details>
          )}
          {data.warnings.length > 0 && (
            <section class="warnings" role="note" aria-label={t.warnings}>
              <h2>{t.warnings}</h2>
              <ul>
                {data.warnings.map((warning, i) => (
                  <li key={i}>{warning[language]}</li>
                ))}
              </ul>
            </section>
          )}
          {data.provenance.length > 0 && (
            <details class="provenance">
              <summary>{t.provenance}</summary>
              <dl>
                {data.provenance.map(([name, value], i) => (
                  <div key={i}>
                    <dt>{name[language]}</dt>
                    <dd>{value}</dd>
                  </div>
                ))}
              </dl>
            </details>
          )}
        </div>
      </main>
      <footer class="notice" role="contentinfo">
        <strong>{t.notDevice}</strong>
        <span>{t.aiGenerated}</span>
        {data.notices.map((notice, i) => (
          <span key={i}>{notice[language]}</span>
        ))}
      </footer>
      <Help t={t} open={help} onClose={() => setHelp(false)} />
    </div>
  );
}

// A finding's maps, strongest claim first.
function ordered(data: ViewerData, id: string | null): FindingMap[] {
  return id === null ? [] : CLAIMS.flatMap((claim) => data.maps.filter((map) => map.finding === id && map.claim === claim));
}

// What a finding opens with: a map that may be shown, of the strongest claim that has one.
function best(maps: FindingMap[]): FindingMap | undefined {
  const strongest = maps.filter((map) => map.claim === maps[0]?.claim);
  return strongest.find((map) => map.grade === "verified" && !map.withheld) ?? strongest.find((map) => !map.withheld) ?? maps[0];
}
