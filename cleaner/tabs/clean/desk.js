// One picture at a time: the picture, what is known about it, the classes, and the film strip.
import { keepFocus, make, percent, picture } from '../../../pipeline/tabs/page/common.js';
import { matching, meant } from '../../../pipeline/tabs/page/typed.js';
import { keyed, keyOf } from './class_keys.js';
import { drafted, indexOf, said, shown } from './queue_state.js';
import { dispatch, now } from './store.js';

/** @typedef {import('./queue_state.js').Row} Row */
/** @typedef {import('./queue_state.js').State} State */

const MATCHES = 24;

/** A button with its key on it; `name` is its data-act. @param {string} words @param {string} key @param {string} name @param {() => void} act */
export const button = (words, key, name, act) => {
  const node = make('button', 'act');
  node.dataset.act = name;
  node.append(make('span', '', words));
  if (key) node.append(make('kbd', '', key));
  node.title = words + (key ? ' (' + key + ')' : '');
  node.addEventListener('click', act);
  return node;
};

export const stage = make('div', 'stage');
export const facts = make('div', 'facts');
export const classes = make('div', 'classes');
export const form = make('form', 'new');
export const field = make('input');
export const hint = make('p', 'quiet hint');
export const strip = make('div', 'strip');

/** @param {Row} row */
const drawPicture = (row) => {
  if (stage.dataset.id === row.id && stage.dataset.large === String(row.large) && !row.taken) return;
  stage.dataset.id = row.id;
  stage.dataset.large = String(row.large);
  stage.replaceChildren();
  if (row.thumbnail) stage.append(picture(row.thumbnail, '', 'small'));
  if (row.large) stage.append(largeOf(row, row.large));
  if (row.trouble) stage.append(make('p', 'empty', row.trouble));
  if (row.taken) stage.append(make('p', 'taken', 'Somebody else decided on it: ' + row.taken));
};
/** @param {State} state @param {Row} row */
const drawFacts = (state, row) => {
  const label = make('p');
  label.append(make('span', 'quiet', 'Label now '), make('span', 'label', said(row.label)));
  const idea = make('p');
  if (row.suggested !== row.label) {
    const words = said(row.suggested) + ' (' + percent(row.suggested_probability) + ')';
    idea.append(make('span', 'quiet', 'Suggested '), make('b', '', words), make('kbd', '', 'S'));
  } else {
    idea.append(make('span', 'quiet', 'No other label suggested'));
  }
  const chosen = [...drafted(state, row)].sort().join('|');
  const changed = make('p');
  if (state.view?.several && chosen !== row.label) {
    changed.append(make('span', 'quiet', 'To be '), make('b', '', said(chosen) || 'nothing'), make('kbd', '', 'Enter'));
  }
  facts.replaceChildren(label, changed, idea, make('p', '', row.why), make('p', 'quiet', row.name + ' · ' + row.split));
};

// --- classes -----------------------------------------------------------------------------------------------------

/** The buttons of the classes that have keys, or of those that the typed text may mean. */
export const drawClasses = () => {
  const state = now();
  const { view } = state;
  if (!view) return;
  const text = field.value.trim();
  const keys = keyed(state);
  const names = text ? matching(view.classes, text).slice(0, MATCHES) : keys;
  const fresh = text && !view.classes.includes(text) ? [text] : [];
  const all = JSON.stringify([names, text ? fresh : keys.length]);
  if (classes.dataset.all !== all) {
    classes.dataset.all = all;
    const nodes = names.map((name, index) => {
      const node = button(name, text ? '' : keyOf(index), 'class', () => take(name));
      node.dataset.name = name;
      return node;
    });
    nodes.push(...fresh.map((name) => button('New class: ' + name, '', 'fresh', () => take(name))));
    keepFocus(classes, () => classes.replaceChildren(...nodes), 'button');
  }
  const row = state.many ? null : shown(state);
  const marked = row ? drafted(state, row) : [];
  for (const node of classes.querySelectorAll('button')) {
    const { name } = node.dataset;
    const has = name !== undefined && marked.includes(name);
    node.classList.toggle('now', has);
    if (view.several && row) node.setAttribute('aria-pressed', String(has));
    node.classList.toggle('suggested', Boolean(row && name === row.suggested && name !== row.label));
  }
  const more = view.classes.length - keys.length;
  const enter = text && meant(view.classes, text);
  hint.textContent = text
    ? 'Enter: ' + enter + (fresh.length && enter !== text ? ' · Shift+Enter: new class ' + text : '')
    : more > 0 ? more.toLocaleString('en') + ' more classes: type a part of the name (N)' : '';
};
/** @param {string} name */
const take = (name) => {
  clearField();
  dispatch({ type: 'label', name });
  drawClasses();
};
export const clearField = () => {
  field.value = '';
  field.blur();
};
const classIsTyped = () => {
  field.placeholder = 'Find a class, or name a new one';
  field.setAttribute('aria-label', 'Other or new class');
  field.maxLength = 100;
  field.autocomplete = 'off';
  const submit = button('Relabel', '', 'relabel', () => {});
  submit.type = 'submit';
  form.append(field, submit);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text) take(meant(now().view?.classes ?? [], text));
  });
  field.addEventListener('input', drawClasses);
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !event.shiftKey) return;
    event.preventDefault();
    if (field.value.trim()) take(field.value.trim());
  });
};
classIsTyped();

// --- the film strip ----------------------------------------------------------------------------------------------

/** @param {Row} row */
const frame = (row) => {
  const node = make('button');
  node.setAttribute('aria-label', said(row.label) + ', ' + row.name);
  node.title = said(row.label) + (row.suggested !== row.label ? ' → ' + said(row.suggested) + '?' : '');
  node.dataset.id = row.id;
  node.append(row.thumbnail ? picture(row.thumbnail, said(row.label)) : make('span', 'quiet', said(row.label)));
  node.addEventListener('click', (event) => dispatch({ type: 'go', id: row.id, extend: event.shiftKey }));
  return node;
};
/** @param {State} state */
const drawStrip = (state) => {
  const index = indexOf(state, state.current);
  const part = state.rows.slice(Math.max(0, index - 6), index + 18);
  const all = JSON.stringify(part.map((row) => row.id));
  if (strip.dataset.all !== all) {
    strip.dataset.all = all;
    const old = new Map([...strip.querySelectorAll('button')].map((node) => [node.dataset.id, node]));
    const nodes = part.map((row) => old.get(row.id) || frame(row));
    keepFocus(strip, () => strip.replaceChildren(...nodes), '[aria-current="true"]');
  }
  let here = null;
  for (const node of strip.querySelectorAll('button')) {
    if (node.dataset.id === state.current) here = node;
    node.setAttribute('aria-current', String(node.dataset.id === state.current));
    node.classList.toggle('chosen', state.selected.has(node.dataset.id ?? ''));
  }
  if (here) strip.scrollLeft = here.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + here.clientWidth / 2;
};
// The next pictures are fetched and decoded before they are wanted; the very same element is then shown.
/** @type {Map<string, HTMLImageElement>} */
const ready = new Map();
/** @param {Row} row @param {string} path */
const largeOf = (row, path) => {
  const alt = 'Picture labelled ' + said(row.label);
  const image = ready.get(path) || picture(path, alt, 'large');
  image.alt = alt;
  ready.set(path, image);
  return image;
};
/** @param {State} state */
const preload = (state) => {
  const index = indexOf(state, state.current);
  for (const row of state.rows.slice(index + 1, index + 7)) {
    const path = row.large;
    if (path && !ready.has(path)) largeOf(row, path).decode().catch(() => ready.delete(path));
  }
  for (const path of [...ready.keys()].slice(0, -16)) ready.delete(path);
};

/** @param {State} state @param {Row} row */
export const drawDesk = (state, row) => {
  drawPicture(row);
  drawFacts(state, row);
  drawStrip(state);
  preload(state);
};
