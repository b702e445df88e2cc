// The keyboard's way through the words: left and right in reading order, up and down to the nearest word of a line.

export function nextWord(from: HTMLElement, key: string): number | null {
  const words = [...document.querySelectorAll<HTMLElement>("[data-word]")].filter((each) => each.offsetParent !== null);
  const at = words.indexOf(from);
  if (at < 0) return null;
  const index = (element: HTMLElement | undefined) => (element ? Number(element.dataset.word) : null);
  if (key === "ArrowRight") return index(words[at + 1]);
  if (key === "ArrowLeft") return index(words[at - 1]);
  const centre = (element: HTMLElement) => {
    const box = element.getClientRects()[0] ?? element.getBoundingClientRect();
    return { x: box.left + box.width / 2, y: box.top + box.height / 2, height: box.height };
  };
  const here = centre(from);
  const down = key === "ArrowDown";
  const beyond = words.filter((each) => {
    const there = centre(each);
    return down ? there.y > here.y + here.height / 2 : there.y < here.y - here.height / 2;
  });
  const lines = beyond.map((each) => centre(each).y);
  if (!lines.length) return null;
  const line = down ? Math.min(...lines) : Math.max(...lines);
  const onLine = beyond.filter((each) => Math.abs(centre(each).y - line) < here.height / 2);
  onLine.sort((a, b) => Math.abs(centre(a).x - here.x) - Math.abs(centre(b).x - here.x));
  return index(onLine[0]);
}
