// The sheet on the page: what happens becomes an event of its state (sheet_state.js), the state is drawn, and what it has
// to say goes to the server. While nothing is under way the page asks now and then whether somebody else has named something.
import { keepFocus, make, near, picture } from '../page/common.js';
import { matching, meant } from '../page/typed.js';
import { KEYS, chosen, newState, pictures, proposed, question, reduced, said, wantsWord } from './sheet_state.js';

/** @typedef {import('./sheet_state.js').State} State */
/** @typedef {import('./sheet_state.js').Event} Event */
/** @typedef {import('./sheet_state.js').View} View */

const ASK_EVERY = 5000;
const SHOWN = 24; // classes without typing
const HELP = [
  ['Enter', 'name the sheet as suggested'], ['1 … 9', 'name it so'], ['0', 'none of these'],
  ['N or /', 'type a name: Enter takes the first class that begins so, Shift+Enter a new one'],
  ['arrows, X', 'go to a picture, strike it out or take it back'], ['Shift + arrows, or click', 'strike out a range'],
  ['Esc', 'strike out none'], ['U', 'undo the last answer'], ['Shift + U', 'redo what you took back'],
];
const root = element.querySelector('.sheet');
let state = newState();

/** A button with its key on it; `name` is its data-act. @param {string} words @param {string} key @param {string} name @param {() => void} act */
const button = (words, key, name, act) => {
  const node = make('button', 'act');
  node.dataset.act = name;
  node.append(make('span', '', words));
  if (key) node.append(make('kbd', '', key));
  node.title = words;
  node.addEventListener('click', act);
  return node;
};
const bar = make('div', 'bar');
const progress = make('span', 'counter');
const meter = make('div', 'meter');
const filled = make('div');
const undoButton = button('Undo', 'U', 'undo', () => dispatch({ type: 'undo' }));
const redoButton = button('Redo', 'Shift+U', 'redo', () => dispatch({ type: 'redo' }));
const message = make('p', 'message');
const note = make('p', 'quiet note');
const empty = make('p', 'empty');
const desk = make('div', 'desk');
const tiles = make('div', 'tiles');
const asked = make('p', 'asked');
const count = make('p', 'quiet count');
const yes = button('', 'Enter', 'yes', () => dispatch({ type: 'name', label: proposed(state) }));
const classes = make('div', 'classes');
const form = make('form', 'new');
const field = make('input');
const hint = make('p', 'quiet hint');

/** @param {HTMLElement} node @param {unknown} shown */
const display = (node, shown) => {
  node.style.display = shown ? '' : 'none';
};

// --- drawing -----------------------------------------------------------------------------------------------------

/** @param {import('./sheet_state.js').Picture} one @param {number} place */
const tile = (one, place) => {
  const node = make('button', 'tile');
  node.dataset.id = one.id;
  node.title = one.name;
  node.append(one.thumbnail ? picture(one.thumbnail, '') : make('span', 'quiet', one.name));
  node.addEventListener('click', (event) => dispatch({ type: 'strike', place, extend: event.shiftKey }));
  return node;
};
const drawTiles = () => {
  const { sheet, struck, place } = state;
  if (!sheet) return;
  if (tiles.dataset.sheet !== sheet.id) {
    tiles.dataset.sheet = sheet.id;
    keepFocus(tiles, () => tiles.replaceChildren(...sheet.images.map(tile)), 'button');
  }
  tiles.querySelectorAll('button').forEach((node, index) => {
    const out = struck.has(node.dataset.id ?? '');
    node.setAttribute('aria-pressed', String(out));
    node.setAttribute('aria-label', node.title + (out ? ', struck out' : ''));
    node.tabIndex = index === place ? 0 : -1;
  });
};
/** @param {View} view */
const drawClasses = (view) => {
  const text = field.value.trim();
  const names = (text ? matching(view.classes, text) : view.classes).slice(0, SHOWN);
  const fresh = text && !view.classes.includes(text) ? [text] : [];
  const all = JSON.stringify([names, fresh, Boolean(text), view.none]);
  if (classes.dataset.all !== all) {
    classes.dataset.all = all;
    const nodes = names.map((name, index) => {
      const node = button(name, text || index >= KEYS ? '' : String(index + 1), 'class', () => take(name));
      node.dataset.name = name;
      return node;
    });
    nodes.push(...fresh.map((name) => button('New class: ' + name, '', 'fresh', () => take(name))));
    const none = button('None of these', text ? '' : '0', 'none', () => take(view.none));
    none.dataset.name = view.none;
    nodes.push(none);
    keepFocus(classes, () => classes.replaceChildren(...nodes), 'button');
  }
  for (const node of classes.querySelectorAll('button')) {
    const { name } = node.dataset;
    const has = name !== undefined && state.draft.includes(name);
    if (view.several) node.setAttribute('aria-pressed', String(has));
    else node.removeAttribute('aria-pressed');
    node.classList.toggle('suggested', name !== undefined && name === state.sheet?.suggested);
    node.disabled = Boolean(state.message);
  }
  const more = view.classes.length - names.length;
  const enter = meant(view.classes, text);
  hint.textContent = text
    ? 'Enter: ' + enter + (fresh.length && enter !== text ? ' · Shift+Enter: new class ' + text : '')
    : more > 0 ? more.toLocaleString('en') + ' more classes: type a part of the name (N)' : '';
};
/** @param {View} view */
const drawSide = (view) => {
  const { sheet, struck, message } = state;
  if (!sheet) return;
  const label = proposed(state);
  asked.textContent = sheet.suggested ? 'Are these ' + said(sheet.suggested) + '?' : 'What are these?';
  const copies = sheet.copies ? ', with ' + sheet.copies.toLocaleString('en') + (sheet.copies === 1 ? ' copy' : ' copies') : '';
  count.textContent = struck.size ? struck.size + ' of ' + pictures(sheet.images.length) + ' struck out' : pictures(sheet.images.length) + copies;
  const [words] = yes.children;
  words.textContent = 'Name ' + (struck.size ? chosen(state).length : sheet.images.length === 1 ? 'it' : 'all ' + sheet.images.length) + ' ' + said(label);
  yes.title = words.textContent;
  display(yes, label);
  yes.disabled = Boolean(message);
  drawClasses(view);
};
const draw = () => {
  const { view, sheet, told, message: waiting } = state;
  if (!view) return;
  progress.textContent = view.progress;
  filled.style.width = 100 * view.share + '%';
  message.textContent = told.text;
  message.classList.toggle('warning', told.warning);
  note.textContent = view.note;
  empty.textContent = sheet ? '' : view.empty;
  undoButton.disabled = Boolean(waiting);
  display(redoButton, state.ahead.length);
  redoButton.disabled = Boolean(waiting);
  display(bar, sheet || view.share);
  display(note, view.note);
  display(empty, !sheet && view.empty);
  display(desk, sheet);
  root.classList.toggle('busy', Boolean(waiting));
  root.dataset.sheet = sheet?.id ?? '';
  root.dataset.struck = String(state.struck.size);
  drawTiles();
  drawSide(view);
};

// --- what happens ------------------------------------------------------------------------------------------------

/** @param {Event} event */
const dispatch = (event) => {
  const before = state;
  state = reduced(state, event);
  if (state === before) return;
  draw();
  if (state.sheet && state.sheet !== before.sheet && before.sheet && root.getBoundingClientRect().top < 0) root.scrollIntoView({ block: 'start' });
  if (state.message && !state.sentAt) {
    state = reduced(state, { type: 'sent', at: Date.now() });
    trigger('act', state.message);
  } else if (state.view && wantsWord(state)) {
    state = reduced(state, { type: 'asked' });
    trigger('ask', { workspace: state.view?.workspace });
  }
};
/** @param {string} label */
const take = (label) => {
  clearField();
  dispatch({ type: 'take', label });
};
const clearField = () => {
  if (field.value) classes.dataset.all = '';
  field.value = '';
  field.blur();
  draw();
};
const type = () => {
  field.focus();
  field.select();
};
/** @param {HTMLElement} node */
const isShown = (node) => node.offsetParent !== null;
/** @param {KeyboardEvent} event */
const arrow = (event) => {
  const columns = getComputedStyle(tiles).gridTemplateColumns.split(' ').length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key] ?? 0;
  const inTiles = tiles.contains(document.activeElement);
  if (inTiles || event.shiftKey) dispatch({ type: 'move', step, extend: event.shiftKey });
  [...tiles.querySelectorAll('button')][state.place]?.focus();
};
/** @param {KeyboardEvent} event @returns {(() => void) | null} */
const command = (event) => {
  const at = near(event, 'button, a, summary');
  // The tab that was clicked to come here has the focus, or a picture; other buttons keep their Enter and Space.
  const onButton = at && at.getAttribute('role') !== 'tab' && !tiles.contains(at);
  const { view } = state;
  if (event.key.startsWith('Arrow')) return () => arrow(event);
  if (/^[1-9]$/.test(event.key)) {
    const name = view?.classes[Number(event.key) - 1];
    return name === undefined ? null : () => take(name);
  }
  const enter = proposed(state) ? () => dispatch({ type: 'name', label: proposed(state) }) : type;
  /** @type {Record<string, (() => void) | null>} */
  const acts = {
    0: () => take(view?.none ?? ''), n: type, '/': type, u: () => dispatch({ type: event.shiftKey ? 'redo' : 'undo' }),
    x: () => dispatch({ type: 'strike', place: state.place }), enter: onButton ? null : enter,
    escape: state.struck.size ? () => dispatch({ type: 'clear' }) : null,
  };
  return acts[event.key.toLowerCase()] ?? null;
};
/** @param {KeyboardEvent} event */
const pressed = (event) => {
  if (!element.isConnected) return document.removeEventListener('keydown', pressed);
  if (!state.view || !isShown(element) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === field && event.key === 'Escape') return clearField();
  if (document.querySelector('dialog[open]') || near(event, 'input, textarea, select, [contenteditable="true"], [role="combobox"], [role="listbox"]')) return;
  const act = isShown(desk) || event.key.toLowerCase() === 'u' ? command(event) : null;
  if (!act) return;
  event.preventDefault();
  if (event.repeat && !event.key.startsWith('Arrow')) return;
  act();
};
const nameIsTyped = () => {
  field.placeholder = 'Another or a new name';
  field.setAttribute('aria-label', 'Another or new class');
  field.maxLength = 255;
  field.autocomplete = 'off';
  const submit = button('Name', '', 'name', () => {});
  submit.type = 'submit';
  form.append(field, submit);
  /** @param {string} text */
  const so = (text) => (text.includes('|') ? text : meant(state.view?.classes ?? [], text));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text) take(so(text));
    else if (proposed(state)) dispatch({ type: 'name', label: proposed(state) });
  });
  field.addEventListener('input', draw);
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !event.shiftKey) return;
    event.preventDefault();
    if (field.value.trim()) take(field.value.trim());
  });
};
const build = () => {
  meter.append(filled);
  bar.append(progress, meter, undoButton, redoButton);
  message.setAttribute('role', 'status');
  tiles.setAttribute('role', 'group');
  tiles.setAttribute('aria-label', 'Pictures: press those that are something else');
  const list = make('dl');
  for (const [key, words] of HELP) {
    const term = make('dt');
    term.append(make('kbd', '', key));
    list.append(term, make('dd', '', words));
  }
  const help = make('details', 'help');
  help.append(make('summary', '', 'Keys'), list, make('p', 'quiet', 'A name like a | b gives several labels.'));
  yes.classList.add('yes');
  nameIsTyped();
  const side = make('div', 'side');
  side.append(asked, count, yes, classes, form, hint, help);
  desk.append(tiles, side);
  root.append(bar, message, note, empty, desk);
  document.addEventListener('keydown', pressed);
  // On a telephone the naming stays in sight (sticky), which Gradio's way of hiding what overflows the page prevents.
  const whole = element.closest('.gradio-container');
  if (whole && window.matchMedia('(max-width: 760px)').matches) whole.style.overflow = 'clip';
};
const asking = setInterval(() => {
  if (!element.isConnected) return clearInterval(asking);
  dispatch({ type: 'tick', at: Date.now() });
  const about = question(state);
  if (about && isShown(element) && document.visibilityState === 'visible') trigger('look', about);
}, ASK_EVERY);
const receive = () => {
  if (props.value) dispatch({ type: 'view', view: props.value });
};

build();
watch('value', receive);
receive();
