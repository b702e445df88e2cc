// What the clinic's API sends: the shapes of src/radiolucent/clinic/service/views.py, and a few of its own.

import type { Claim, Language } from "../data";

export type Words = Record<Language, string>;
export type Polarity = "present" | "absent" | "uncertain";
export type Decision = "accept" | "change" | "reject" | "add" | "keep" | "drop";
export type Role = "viewer" | "radiologist" | "admin" | "service";

export interface Notice extends Words {
  code: string;
}

export interface User {
  id: string;
  login: string;
  name: string;
  role: Role;
  active?: boolean;
  locked?: boolean;
  signs_in_by?: string;
}

export interface Session {
  user: User;
  by_password: boolean; // false: the identity provider is asked for it
  csrf: string;
  idle_seconds: number;
  mode: "research" | "clinical";
  demo: boolean;
  model: string;
  reauth_seconds: number; // how long a signature needs no new password
  reauth_at: string | null;
  attestation: Words;
  single_sign_on: boolean;
}

export interface CaseRow {
  id: string;
  number: number;
  state: string;
  version: number;
  received_at: string;
  study_at: string | null;
  due_at: string | null;
  modality: string;
  view: string | null;
  age: string | null;
  sex: string | null;
  patient_name: string | null;
  patient_id: string | null;
  urgency: number | null;
  critical: boolean | null;
  badges: Notice[];
  claimed_by: string | null;
  reader_first: boolean;
  demo: boolean;
  question: string | null;
  progress: number | null;
}

export interface Patient {
  name: string;
  name_ideographic: string;
  name_phonetic?: string;
  id: string;
  sex: string | null;
  age: string | null;
  birth_date: string | null;
}

export interface FrameFacts {
  rows: number;
  cols: number;
  label: string;
  view: string | null;
  patient_right: "left" | "right" | null;
  side_source: "orientation" | "assumed" | "array" | "none";
  spacing: [number, number] | null;
  spacing_kind: string | null;
}

export interface BoxOn {
  frame: number;
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export interface MapEntry {
  key: string;
  finding: string;
  claim: Claim;
  method: string;
  grade: string | null;
  withheld: boolean;
}

export interface Stated {
  code: string | null;
  polarity: Polarity | null;
  side: string | null;
  zone: string | null;
  severity: string | null;
  certainty: string | null;
  size_mm: number[];
}

export interface Ruling extends Stated {
  id: string;
  finding_id: string | null;
  decision: Decision;
  box: BoxOn | null;
  note: string | null;
  author: string;
  at: string;
  name: Words | null;
}

export interface Finding extends Stated {
  id: string;
  kind: "finding" | "sentence";
  name: Words | null;
  phrase: Words;
  hedge: Words;
  words: string;
  chars: [number, number];
  count: { n: number; of: number } | null;
  interval: [number, number] | null;
  probability: number | null;
  calibrated: boolean;
  quadrant: (Words & { key: string }) | null;
  grade: (Words & { key: string }) | null;
  evidence: Words;
  alternatives: { text: string; probability: number }[];
  boxes: BoxOn[];
  maps: MapEntry[];
  not_knowable: Notice[];
  contradicted: boolean;
  critical: boolean;
  must_rule: boolean;
  ruling: Ruling | null;
}

export interface TraceWord {
  text: string;
  start: number;
  end: number;
  probability: number | null;
  reliance: number | null;
  place: unknown;
  map: string | null;
}

export interface ChainStep extends Words {
  step: string;
  evidence?: Words | null;
  grade?: string | null;
}

export interface Run {
  id: string;
  number: number;
  model: string;
  weights_hash: string;
  report: string;
  summary: Words;
  attention: Words;
  confidence: { value: number; calibrated: boolean; finding: string } | null;
  created_at: string;
  prompt: string;
  language: Language;
  provenance: Record<string, unknown>;
  demo: boolean;
  warnings: Notice[];
  trace: TraceWord[];
  chain: ChainStep[];
  maps: MapEntry[];
}

export interface TwoParts {
  findings: string;
  impression: string;
}

export interface SavedText extends TwoParts {
  author: string;
  at: string;
  edition: number;
}

export interface Critical {
  id: string;
  code: string;
  name: Words;
  side: string | null;
  opened_at: string;
  caller: string | null;
  receiver: string | null;
  at: string | null;
  read_back: boolean;
  completed_at: string | null;
}

export interface CaseView {
  id: string;
  number: number;
  version: number;
  state: string;
  mode: string;
  language: Language;
  question: string | null;
  demo: boolean;
  reader_first: boolean;
  revealed: boolean;
  drafted: boolean;
  claimed_by: string | null;
  claimed_by_id: string | null;
  critical: boolean | null;
  urgency: number | null;
  created_at: string;
  updated_at: string;
  due_at: string | null;
  patient: Patient | null;
  study: {
    at: string | null;
    accession: string | null;
    modality: string;
    view: string | null;
    clinical_information: string | null;
    institution: string | null;
  };
  side: { source: string; patient_right: "left" | "right" | null; confirmed_by: string | null };
  warnings: Notice[];
  frames: FrameFacts[];
  prior: { case_id: string; at: string | null } | null;
  run: Run | null;
  findings: Finding[];
  added: Ruling[];
  texts: { own_impression: SavedText | null; working: SavedText | null; signed: SavedText | null };
  signatures: { step: string; user: string; user_id: string; at: string; edition: number }[];
  editions: number;
  blockers: Notice[];
  criticals: Critical[];
  reasons?: { kind: string; reason: string; author: string; at: string }[];
}

export interface VocabularyCode extends Words {
  code: string;
  sided: boolean;
  zoned: boolean;
  graded: boolean;
  measured: boolean;
}

export interface HistoryEntry {
  at: string;
  actor: string;
  action: string;
  detail: unknown;
}

export interface ExportRow {
  id: string;
  edition: number;
  kind: string;
  sop_uid: string | null;
  state: string;
  destination: string | null;
  created_at: string;
  sent_at: string | null;
  error: string | null;
}

export interface Destination {
  name: string;
  kind: "stow" | "cstore";
  url: string | null;
  host: string | null;
  port: number | null;
  aet: string | null;
  verify_tls: boolean;
  enabled: boolean;
  calling_aet: string | null;
  tls: boolean;
  ca_pem: string | null;
  has_token: boolean;
}

export interface CriticalEntry extends Words {
  code: string;
  severities: string[];
  zones: string[];
  words: string[];
}

export interface Switches {
  paused: { models: Record<string, string> };
  critical: { entries: CriticalEntry[] };
  reader_first: { value: boolean };
  two_signatures: { value: boolean };
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface AuditEntry {
  seq: number;
  at: string;
  actor: string;
  action: string;
  object_kind: string;
  object_id: string;
  detail: unknown;
}

export interface Times {
  count: number;
  median: number | null;
  lower_quartile: number | null;
  upper_quartile: number | null;
}

export interface Panel {
  cases_signed: number;
  outcomes: (Words & {
    code: string;
    ruled: number;
    accepted: number;
    changed: number;
    rejected: number;
    missed: number;
    rate: number;
    interval: [number, number];
  })[];
  drift: { code: string; notice: Notice }[];
  groups: { attribute: string; value: string; ruled: number; rate: number | null; interval: [number, number] | null }[];
  time_to_draft: Times;
  time_to_sign: Times;
  models: string[];
}

export interface Incident {
  id: string;
  case_id: string | null;
  text: string;
  author: string;
  at: string;
}
