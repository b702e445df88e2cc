// What an administration tab shows: loaded once, loaded again after each change, with what went wrong in words.

import { useCallback, useEffect, useState } from "preact/hooks";
import { get, message } from "./api";
import { useVoice } from "./words";

export interface Loaded<T> {
  value: T | null;
  fault: string | null;
  reload(): Promise<void>;
  run(work: Promise<unknown>): Promise<boolean>; // a change; true where it was taken
}

export function useLoaded<T>(path: string): Loaded<T> {
  const { language, t } = useVoice();
  const [value, setValue] = useState<T | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const told = (error: unknown) => setFault(message(error, language, t.unreachable));
  const reload = useCallback(() => get<T>(path).then(setValue, told), [path]);
  useEffect(() => void reload(), [reload]);
  const run = async (work: Promise<unknown>) => {
    setFault(null);
    try {
      await work;
      await reload();
      return true;
    } catch (error) {
      told(error);
      return false;
    }
  };
  return { value, fault, reload, run };
}
