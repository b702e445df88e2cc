// The AI's text with the words of each finding as links to its row and its map.

import type { Finding } from "./model";
import { useVoice } from "./words";

interface Props {
  report: string;
  language: string;
  findings: Finding[];
  chosen: string | null;
  onChoose(id: string): void;
}

export function AiText({ report, language, findings, chosen, onChoose }: Props) {
  const { t } = useVoice();
  // Spans count Unicode code points, JavaScript strings count UTF-16 units.
  const points = Array.from(report);
  const spans = findings
    .filter((each) => each.chars[1] > each.chars[0])
    .sort((one, other) => one.chars[0] - other.chars[0]);
  const parts = [];
  let at = 0;
  for (const finding of spans) {
    const [first, last] = finding.chars;
    if (first < at) continue;
    if (first > at) parts.push(points.slice(at, first).join(""));
    parts.push(
      <button
        key={finding.id}
        type="button"
        class={`words ${finding.polarity ?? "sentence"} ${finding.ruling?.decision ?? ""} ${chosen === finding.id ? "chosen" : ""}`}
        aria-pressed={chosen === finding.id}
        onClick={() => onChoose(finding.id)}
      >
        {points.slice(first, last).join("")}
      </button>,
    );
    at = last;
  }
  parts.push(points.slice(at).join(""));
  return (
    <p class="ai-text" lang={language === "zh" ? "zh-CN" : "en"} title={t.aiTextHint}>
      {parts}
    </p>
  );
}
