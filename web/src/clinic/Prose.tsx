// The little Markdown that a model card is written in: headings, lists, tables, paragraphs, bold and code.

import type { ComponentChildren } from "preact";

export function Prose({ text }: { text: string }) {
  const blocks = text.replace(/^---\n[\s\S]*?\n---\n/, "").split(/\n{2,}/);
  return <div class="prose">{blocks.map((block, i) => <Block key={i} text={block.trim()} />)}</div>;
}

function Block({ text }: { text: string }) {
  const lines = text.split("\n");
  const heading = /^#{1,6}\s+(.*)/.exec(lines[0] ?? "");
  if (heading) {
    return (
      <>
        <h3>{inline(heading[1]!)}</h3>
        {lines.length > 1 && <Block text={lines.slice(1).join("\n")} />}
      </>
    );
  }
  if (!text) return null;
  if (lines.every((line) => /^\s*\|/.test(line))) {
    const rows = lines.filter((line) => !/^\s*\|[\s:|-]+\|?\s*$/.test(line)).map(cells);
    return (
      <table>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>{row.map((cell, j) => (i || !cell ? <td key={j}>{inline(cell)}</td> : <th key={j}>{inline(cell)}</th>))}</tr>
          ))}
        </tbody>
      </table>
    );
  }
  if (/^\s*[-*]\s/.test(lines[0]!)) {
    const items = text.split(/\n(?=\s*[-*]\s)/).map((item) => item.replace(/^\s*[-*]\s+/, "").replace(/\s*\n\s*/g, " "));
    return <ul>{items.map((item, i) => <li key={i}>{inline(item)}</li>)}</ul>;
  }
  if (text.startsWith("```")) return <pre>{text.replace(/^```\w*\n?|\n?```$/g, "")}</pre>;
  return <p>{inline(lines.join(" "))}</p>;
}

function cells(line: string): string[] {
  return line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
}

function inline(text: string): ComponentChildren[] {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part, i) => {
    if (part.startsWith("**")) return <strong key={i}>{part.slice(2, -2)}</strong>;
    if (part.startsWith("`")) return <code key={i}>{part.slice(1, -1)}</code>;
    return part.replace(/\[([^\]]+)\]\([^)]*\)/g, "$1");
  });
}
