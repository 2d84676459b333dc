
"use strict";
/**
 * @typedef {{ name: string, bytes: number, sha256: string }} Part  a file that the page loads
 * @typedef {{ label: string, probability: number, probabilities: number[], distance: number | null, width: number, height: number }} Answer
 */

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id)); // all of them are in index.html
const progress = /** @type {HTMLProgressElement} */ ($("progress")), shown = /** @type {HTMLImageElement} */ ($("shown"));
/** @type {{ classes: string[], outputs: { kind: string, several: boolean, thresholds: number[] }, none: string, several: string, scaled: boolean, examples: string[], model: Part, runtime: Part }} */
const settings = JSON.parse($("settings").textContent ?? "");
const MOST_PIXELS = 50e6, TILE = 2048, MOST_BARS = 20;
let latest = 0;

class Unusable extends Error {}

// --- the model: fetched with progress, compared with its checksum, opened ------------------------------------------

/** @param {Part} file @param {(count: number) => void} onBytes */
async function fetched(file, onBytes) {
  const response = await fetch(file.name);
  if (!response.ok || !response.body) throw new Unusable(`${file.name} cannot be loaded (${response.status}). Reload the page.`);
  const reader = response.body.getReader(), parts = [];
  let size = 0;
  for (;;) {
    const {done, value} = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    onBytes(value.length);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) { bytes.set(part, at); at += part.length; }
  if (globalThis.crypto && crypto.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (found !== file.sha256) throw new Unusable(`${file.name} is not as it was exported, so it is not used. Export the Space again.`);
  }
  return bytes;
}

async function opened() {
  const total = settings.model.bytes + settings.runtime.bytes;
  let loaded = 0;
  const onBytes = (/** @type {number} */ count) => { loaded += count; progress.value = Math.min(1, loaded / total); };
  const [model, runtime] = await Promise.all([fetched(settings.model, onBytes), fetched(settings.runtime, onBytes)]);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "./";
  ort.env.wasm.wasmBinary = runtime;
  return ort.InferenceSession.create(model, {executionProviders: ["wasm"]});
}

const session = opened();

// --- a picture: bytes -> RGB as it is in the file, upright, over white; its size is left to the model ---------------

/** @param {Blob} file */
async function checked(file) {
  if (!file.size) throw new Unusable("The file is empty.");
  const start = new Uint8Array(await file.slice(0, 512).arrayBuffer());
  const text = new TextDecoder("latin1").decode(start).replace(/^\ufeff|^ï»¿/, "").trimStart();
  const [bits, colours] = [start[24], start[25]];
  if (settings.scaled && text.slice(1, 4) === "PNG" && bits === 16 && colours === 0) throw new Unusable("It has 16 bits a pixel, of which browsers keep 8; the model learnt from all of them. Ask it with predict.py, which comes with an exported model.");
  if (text.startsWith("<")) throw new Unusable("It is a web page or a drawing, not a picture in a format that can be read here; save it as JPEG or PNG.");
}

/** @param {Blob} file */
async function decoded(file) {
  await checked(file);
  const address = URL.createObjectURL(file), image = new Image();
  try {
    image.src = address;
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Unusable("This browser cannot read it: it is damaged, or in a format that the browser does not know. Save it as JPEG or PNG."));
    });
    const {naturalWidth: width, naturalHeight: height} = image;
    if (width * height > MOST_PIXELS) throw new Unusable(`It claims to be ${width} x ${height} pixels; the limit is 50 megapixels.`);
    /** @type {ImageBitmapOptions} */
    const options = {imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none"};
    return await createImageBitmap(file, options).catch(() => {
      throw new Unusable("This browser cannot read all of it: the file is damaged or cut off.");
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** @param {ImageBitmap} bitmap */
function pixels(bitmap) {
  const {width, height} = bitmap, rgb = new Uint8Array(width * height * 3);
  const canvas = document.createElement("canvas");
  canvas.width = Math.min(TILE, width);
  canvas.height = Math.min(TILE, height);
  const context = canvas.getContext("2d", {willReadFrequently: true, colorSpace: "srgb"});
  if (!context) throw new Error("the browser gives no canvas");
  context.fillStyle = "#fff";
  for (let top = 0; top < height; top += TILE) {
    for (let left = 0; left < width; left += TILE) {
      const across = Math.min(TILE, width - left), down = Math.min(TILE, height - top);
      context.fillRect(0, 0, across, down);
      context.drawImage(bitmap, left, top, across, down, 0, 0, across, down);
      const {data} = context.getImageData(0, 0, across, down);
      for (let row = 0, from = 0; row < down; row++) {
        let to = ((top + row) * width + left) * 3;
        for (let column = 0; column < across; column++, from += 4) {
          rgb[to++] = data[from];
          rgb[to++] = data[from + 1];
          rgb[to++] = data[from + 2];
        }
      }
    }
  }
  return new ort.Tensor("uint8", rgb, [1, height, width, 3]);
}

// --- the answer ------------------------------------------------------------------------------------------------------

/** @param {Blob} file @returns {Promise<Answer>} */
async function answered(file) {
  const bitmap = await decoded(file);
  const image = pixels(bitmap);
  bitmap.close();
  const said = await (await session).run({image});
  const probabilities = Array.from(said.probabilities.data);
  const distance = said.distance ? said.distance.data[0] : null;
  return {...named(probabilities), probabilities, distance, width: image.dims[2], height: image.dims[1]};
}

/** @param {number[]} probabilities */
function named(probabilities) {
  const {kind, several, thresholds} = settings.outputs;
  const least = (/** @type {number} */ number) => kind === "softmax" ? 0 : thresholds.length ? thresholds[number] : 0.5;
  let there = probabilities.map((p, number) => number).filter((number) => probabilities[number] >= least(number));
  if (!several) there = there.sort((a, b) => probabilities[b] - probabilities[a] || a - b).slice(0, 1);
  if (!there.length) return {label: settings.none, probability: 1 - Math.max(...probabilities)};
  const names = there.sort((a, b) => a - b).map((number) => settings.classes[number]);
  return {label: names.join(settings.several), probability: Math.min(...there.map((number) => probabilities[number]))};
}

/** @param {number} share */
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** @param {string} name @param {string} className */
function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** @param {Answer} answer */
function show(answer) {
  const strange = (answer.distance ?? 0) > 1;
  $("label").textContent = strange ? "Unfamiliar" : answer.label.split(settings.several).join(", ");
  $("unfamiliar").hidden = !strange;
  const order = settings.classes.map((name, number) => number).sort((a, b) => answer.probabilities[b] - answer.probabilities[a]);
  $("bars").replaceChildren(...order.slice(0, MOST_BARS).map((number) => {
    const row = document.createElement("li"), track = element("div", "track"), filled = element("div", "filled");
    filled.style.width = percent(answer.probabilities[number]).replace(" ", "");
    track.append(filled);
    row.append(element("span", "", settings.classes[number]), element("span", "", percent(answer.probabilities[number])), track);
    return row;
  }));
  $("answer").hidden = false;
}

/** @param {string} words */
function complain(words) {
  $("trouble").textContent = words;
  $("trouble").hidden = !words;
}

const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

/** @param {Blob} file */
async function ask(file) {
  const mine = ++latest;
  complain("");
  $("answer").hidden = true;
  shown.hidden = true;
  const show_now = (/** @type {string} */ words) => { $("status").textContent = words; $("status").hidden = !words; };
  try {
    await session;
    show_now("Looking …");
    await painted();
    const answer = await answered(file);
    if (mine !== latest) return;
    if (shown.src) URL.revokeObjectURL(shown.src);
    shown.src = URL.createObjectURL(file);
    shown.hidden = false;
    $("invitation").textContent = "Another one: drop it here, paste it, or";
    show(answer);
  } catch (error) {
    if (mine === latest) complain(`This picture cannot be used. ${error instanceof Unusable ? error.message : "It needs more memory than this browser allows, or something unexpected happened: " + error.message}`);
  }
  if (mine === latest) show_now("");
}

// --- where pictures come from ------------------------------------------------------------------------------------------

for (const id of ["file", "camera"]) {
  const input = /** @type {HTMLInputElement} */ ($(id));
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    if (file) ask(file);
    input.value = "";
  });
  input.parentElement?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); input.click(); }
  });
}
$("photo").hidden = !navigator.maxTouchPoints;
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (file) ask(file);
});
for (const kind of /** @type {const} */ (["dragover", "dragleave", "drop"])) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    const file = kind === "drop" && event.dataTransfer?.files[0];
    if (file) ask(file);
  });
}
for (const name of settings.examples) {
  const button = document.createElement("button"), image = document.createElement("img");
  button.type = "button";
  image.src = `examples/${name}`;
  image.alt = `Example ${name}`;
  button.append(image);
  button.addEventListener("click", async () => ask(await (await fetch(image.src)).blob()));
  $("thumbnails").append(button);
  $("examples").hidden = false;
}

session.then(() => {
  progress.hidden = true;
  if ($("status").textContent.startsWith("Loading")) $("status").textContent = "Ready. The answer appears here.";
}).catch((error) => {
  progress.hidden = true;
  $("status").hidden = true;
  complain(error instanceof Unusable ? error.message : `The model cannot be opened in this browser (${error.message}).`);
});

// --- index.html?test: all pictures of examples/golden.json are answered; what was said is left in the page and sent ------

async function tested() {
  const answers = [];
  try {
    const golden = await (await fetch("examples/golden.json")).json();
    for (const {file} of golden) {
      const name = encodeURIComponent(file);
      try {
        answers.push({file, ...await answered(await (await fetch(`examples/${name}`)).blob())});
      } catch (error) {
        if (!(error instanceof Unusable)) throw error;
        answers.push({file, reason: error.message});
      }
    }
    await session;
    return {answers};
  } catch (error) {
    return {answers, trouble: String(error.message || error)};
  }
}

if (new URLSearchParams(location.search).has("test")) {
  tested().then((result) => {
    const said = JSON.stringify(result);
    $("result").textContent = said.replaceAll("<", "\\u003c");
    return fetch("answers", {method: "POST", body: said});  // who tests it listens there, a plain file server does not
  });
}
