// Which language the page speaks, and how it writes times and shares.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Language } from "../data";
import { en, type Say } from "./words_en";
import { zh } from "./words_zh";

export const SAY: Record<Language, Say> = { en, zh };

export interface Voice {
  language: Language;
  t: Say;
}

export const VoiceContext = createContext<Voice>({ language: "en", t: en });

export function useVoice(): Voice {
  return useContext(VoiceContext);
}

export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

export function stateName(state: string, t: Say): string {
  const name = `s_${state}`;
  return name in t ? t[name as keyof Say] : state;
}

// A word of the vocabulary's attributes: a side, a zone, a severity, a certainty, a polarity.
export function term(value: string | null | undefined, t: Say): string {
  return value && value in t ? t[value as keyof Say] : (value ?? "");
}

const pad = (value: number) => String(value).padStart(2, "0");

// Local time, the same form in both languages.
export function when(iso: string | null | undefined): string {
  if (!iso) return "";
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

// The value of a datetime-local field.
export function localNow(): string {
  return when(new Date().toISOString()).replace(" ", "T");
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

// DICOM's age string, as "045Y".
export function age(value: string | null | undefined, language: Language): string {
  const found = /^0*(\d+)([YMWD])$/.exec(value ?? "");
  if (!found) return value ?? "";
  const units = { en: { Y: "y", M: "mo", W: "wk", D: "d" }, zh: { Y: "岁", M: "月", W: "周", D: "天" } }[language];
  const unit = units[found[2] as keyof typeof units];
  return language === "zh" ? `${found[1]}${unit}` : `${found[1]} ${unit}`;
}
