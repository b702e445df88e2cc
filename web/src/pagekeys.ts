// Keys of a whole page go to the latest handler; what is shown while V is held ends with the key, or when the window
// loses the keyboard.

import { useEffect, useRef } from "preact/hooks";

export function usePageKeys(onKey: (event: KeyboardEvent) => void, letGo?: () => void) {
  const latest = useRef({ onKey, letGo });
  latest.current = { onKey, letGo };
  useEffect(() => {
    const down = (event: KeyboardEvent) => latest.current.onKey(event);
    const up = (event: KeyboardEvent) => event.key.toLowerCase() === "v" && latest.current.letGo?.();
    const lost = () => latest.current.letGo?.();
    window.addEventListener("keydown", down);
    window.addEventListener("keyup", up);
    window.addEventListener("blur", lost);
    return () => {
      window.removeEventListener("keydown", down);
      window.removeEventListener("keyup", up);
      window.removeEventListener("blur", lost);
    };
  }, []);
}
