import { render } from "preact";
import { App } from "./App";
import { bytesOf, type ViewerData } from "./data";
import "./style.css";

async function installFont(base64: string): Promise<void> {
  const face = new FontFace("radiolucent-cjk", bytesOf(base64).buffer);
  await face.load();
  document.fonts.add(face);
}

const data = JSON.parse(document.getElementById("data")!.textContent!) as ViewerData;
const root = document.getElementById("app")!;
root.replaceChildren();
render(<App data={data} />, root);
if (data.font) void installFont(data.font);
