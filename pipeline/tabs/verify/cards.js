// What Verify found, a card a kind of problem; the open one shows a page of its pictures, to be ticked and acted on.
// What is sent names pictures by id; "all" goes with the seal of the card as it was seen.
import {
  action, heard, isDone, isStale, keepFocus, make, near, newTalk, numbered, opening, pager, picture, stamp, walk,
} from '../page/common.js';

/**
 * @typedef {{ id: string, name: string, words: string[], best: boolean, thumbnail: string | null }} Row
 * @typedef {{ label: string, words: string }} Choice  a label that a group may have
 * @typedef {{ pictures: Row[], more: number, ids: string[], choices: Choice[] }} Group
 * @typedef {{ groups: number, pictures: number }} Count
 * @typedef {{ words: string, warning: boolean, undo: boolean }} Done
 * 
 * @typedef {object} Card  a kind of problem
 * @property {string} kind
 * @property {string} title
 * @property {string} meaning
 * @property {boolean} grouped
 * @property {number} groups
 * @property {number} pictures
 * @property {number} ignored
 * @property {(keyof typeof WORDS)[]} actions
 * @property {boolean} aside
 * 
 * @typedef {object} View
 * @property {string} workspace
 * @property {Card[]} cards
 * @property {string} open  the kind of the card that is looked at
 * @property {number} asked  the number of the message that opened it
 * @property {string} seen  the seal of that card
 * @property {number} page
 * @property {number} pages
 * @property {Group[]} groups
 * @property {Done | null} done
 * @property {{ page: string, number: number }} answer
 */

const root = element.querySelector('.cards');
let talk = newTalk();
/** @type {import('../page/common.js').Opened} */
let opened = { asked: 0, told: null };
const WAIT = 30000;
/** @type {Map<string, string>} */
const ticks = new Map(); // id -> the first of its group, of the card that is open, on whatever page
let busy = 0; // the number of the message that waits for its answer
let drawn = '';
let last = ''; // where a range of ticks begins

/** @param {number} count */
const number = (count) => count.toLocaleString('en');
/** @returns {Card} */
const card = () => props.value.cards.find((/** @type {Card} */ item) => item.kind === props.value.open);
const picks = () => [...root.querySelectorAll('.pick')];
/** @param {number} count @param {string} one */
const several = (count, one) => number(count) + ' ' + one + (count === 1 ? '' : 's');

// --- pictures --------------------------------------------------------------------------------------------------------

/** @param {Row} row @param {string} group */
const pick = (row, group) => {
  const button = make('button', 'pick');
  button.dataset.id = row.id;
  button.dataset.group = group;
  button.tabIndex = -1;
  button.setAttribute('aria-label', [row.name, ...row.words, row.best ? 'best copy' : ''].filter(Boolean).join(', '));
  button.title = row.name + '\n' + row.words.join('\n');
  const words = make('span', 'words');
  words.append(...row.words.map((word) => make('span', '', word)));
  if (row.thumbnail) {
    const image = picture(row.thumbnail, '');
    image.loading = 'lazy';
    button.append(image);
  } else words.prepend(make('b', '', row.name));
  button.append(make('span', 'tick', '✓'), words);
  return button;
};
/** @param {Row} row @param {string} group */
const tile = (row, group) => {
  const box = make('div', row.thumbnail ? 'tile' : 'tile row');
  box.append(pick(row, group));
  if (row.best) box.append(make('span', 'best', 'best copy'));
  if (row.thumbnail) {
    const look = make('button', 'look');
    look.dataset.look = row.id;
    look.tabIndex = -1; // by keys, Enter opens the picture
    look.title = 'Look at it in large (Enter)';
    look.setAttribute('aria-label', 'Look at ' + row.name + ' in large');
    look.append(make('span', 'lens'));
    box.append(look);
  }
  return box;
};
/** Which of the labels that it was given is right. @param {Group} group */
const called = (group) => {
  const box = make('div', 'called');
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', 'Which label is right?');
  for (const { label, words } of group.choices) {
    const button = action(words, 'label', !busy);
    button.dataset.label = label;
    button.dataset.of = group.pictures[0].id;
    button.title = 'It is ' + words;
    box.append(button);
  }
  return box;
};
/** @param {View} view @param {Card} item */
const pictures = (view, item) => {
  if (!item.grouped) {
    const tiles = view.groups.map((group) => tile(group.pictures[0], group.pictures[0].id));
    const box = make('div', view.groups.every((group) => group.pictures[0].thumbnail) ? 'grid' : 'rows');
    box.append(...tiles);
    return box;
  }
  const box = make('div', 'groups');
  for (const group of view.groups) {
    const inner = make('div', 'group grid');
    inner.append(...group.pictures.map((row) => tile(row, group.pictures[0].id)));
    if (group.more) inner.append(make('span', 'quiet more', 'and ' + number(group.more) + ' more'));
    const count = group.pictures.length + (group.more ? 1 : 0);
    if (group.choices.length) inner.append(called(group));
    inner.style.setProperty('--tiles', String(group.choices.length ? Math.max(count, 2) : count));
    box.append(inner);
  }
  return box;
};

// --- cards -----------------------------------------------------------------------------------------------------------

/** @param {View} view @param {Card} item */
const body = (view, item) => {
  const box = make('div', 'pictures');
  if (view.groups.length) {
    const bar = make('div', 'bar');
    bar.append(action('Tick this page', 'tick'), action('Untick all', 'untick'));
    bar.append(make('span', 'quiet hint', 'Click a picture to tick it; the lens, or Enter, shows it in large.'));
    box.append(bar, pictures(view, item));
    const [first] = box.querySelectorAll('.pick');
    first.tabIndex = 0;
  }
  if (view.pages > 1) box.append(pager(view));
  box.append(make('div', 'acts'));
  return box;
};
/** @param {Card} item */
const countOf = (item) => {
  const left = item.grouped ? several(item.groups, 'group') : number(item.groups);
  if (!item.ignored) return left;
  return (item.groups ? left + ', ' : '') + number(item.ignored) + ' ignored';
};
/** @param {View} view @param {Card} item */
const section = (view, item) => {
  const open = item.kind === view.open;
  const box = make('section', open ? 'open' : '');
  const button = make('button', 'summary');
  button.dataset.kind = item.kind;
  button.setAttribute('aria-expanded', String(open));
  const words = make('span', 'about');
  words.append(make('b', '', item.title), make('span', 'quiet', item.meaning));
  button.append(make('span', item.groups ? 'count' : 'count quiet', countOf(item)), words, make('span', 'quiet show', open ? 'Hide' : 'Show'));
  box.append(button);
  if (open) box.append(body(view, item));
  return box;
};

// --- what can be done ------------------------------------------------------------------------------------------------

/** @satisfies {Record<string, (all: boolean, count: Count, item: Card) => string>} */
const WORDS = {
  set_aside: (all, count) => 'Set aside ' + (all ? 'all ' : '') + number(count.pictures),
  restore: (all, count) => 'Take back ' + (all ? 'all ' : '') + number(count.pictures),
  keep_best: (all, count) =>
    count.groups === 1 ? 'Keep only the best copy' : 'Keep the best of each of ' + number(count.groups) + ' groups',
  not_same: (all, count) => 'Not the same' + (count.groups === 1 ? '' : ': dissolve ' + number(count.groups) + ' groups'),
  ignore: (all, count, item) =>
    'No problem: ignore ' + (all ? 'all ' : '') + (item.grouped ? several(count.groups, 'group') : number(count.groups)),
};
const acts = () => {
  const box = root.querySelector('.acts');
  if (!box) return;
  const item = card();
  const chosen = { pictures: ticks.size, groups: new Set(ticks.values()).size };
  const all = !ticks.size;
  const count = all ? item : chosen;
  // To set aside every copy of every group is hardly ever meant: that takes ticks.
  const names = item.actions.filter((name) => !(name === 'set_aside' && item.grouped && all));
  /** @type {HTMLElement[]} */
  const buttons = item.groups ? names.map((name) => action(WORDS[name](all, count, item), name, !busy)) : [];
  if (names[0] !== 'ignore') buttons[0]?.classList.add('first');
  if (names.length < item.actions.length && item.groups) buttons.push(make('span', 'quiet', 'Tick pictures to set just those aside.'));
  if (item.ignored) buttons.push(action('Show ' + number(item.ignored) + ' ignored again', 'notice', !busy));
  const parts = [make('div', 'buttons')];
  parts[0].append(...buttons);
  if (props.value.done) parts.unshift(told(props.value.done));
  keepFocus(box, () => box.replaceChildren(...parts), '.act');
  for (const button of root.querySelectorAll('button')) {
    if (button.dataset.do === 'untick') button.disabled = all;
    if (button.dataset.of) button.disabled = busy > 0;
  }
};
/** @param {Done} done */
const told = (done) => {
  const box = make('div', done.warning ? 'told warning' : 'told');
  box.setAttribute('role', 'status');
  box.append(make('span', '', done.words));
  if (done.undo) box.append(action('Undo', 'undo', !busy));
  return box;
};
const marks = () => {
  for (const button of picks()) button.setAttribute('aria-pressed', String(ticks.has(button.dataset.id ?? '')));
  acts();
};

// --- drawing ---------------------------------------------------------------------------------------------------------

/** @param {View} view */
const whole = (view) => {
  const parts = [];
  if (view.done && !view.open) parts.push(told(view.done));
  const halves = [{ aside: false, words: 'Worth a look' }, { aside: true, words: 'Set aside, out of use' }];
  for (const { aside, words } of halves) {
    const items = view.cards.filter((item) => item.aside === aside);
    if (items.length) parts.push(make('h3', '', words), ...items.map((item) => section(view, item)));
  }
  root.replaceChildren(...parts);
};
const draw = () => {
  const view = props.value;
  if (!view) return;
  if (isStale(opened, view)) return look();
  talk = heard(talk, view.answer);
  if (busy && isDone(talk, busy)) {
    ticks.clear();
    busy = 0;
  }
  const [before, now] = [drawn ? JSON.parse(drawn) : {}, JSON.stringify({ ...view, answer: null })];
  if (before.workspace !== view.workspace || before.open !== view.open) ticks.clear();
  if (now !== drawn) {
    keepFocus(root, () => whole(view), '[aria-expanded=true]');
    drawn = now;
    if (view.done && !view.open) root.scrollIntoView({ block: 'nearest' });
    else if (before.open === view.open && before.page !== view.page) root.querySelector('.open')?.scrollIntoView({ block: 'start' });
  }
  marks();
};

// --- what a person does ----------------------------------------------------------------------------------------------

const look = () => trigger('look', { ...opened.told, asked: opened.asked });
/** @param {string} kind @param {number} to */
const go = (kind, to) => {
  opened = opening(opened, props.value, { workspace: props.value.workspace, kind, page: to });
  look();
};
/** @param {string} id */
const enlarge = (id) => trigger('enlarge', { workspace: props.value.workspace, kind: props.value.open, id });
/** @param {string} name @param {{ ids: string[], label: string } | null} [group] */
const ask = (name, group = null) => {
  talk = numbered(talk);
  busy = talk.sent;
  const { workspace, open, seen, page: at } = props.value;
  const [ids, all, label] = group ? [group.ids, false, group.label] : [[...ticks.keys()], !ticks.size, ''];
  trigger('act', { workspace, kind: open, action: name, ids, all, label, seen, at, asked: props.value.asked, ...stamp(talk) });
  acts();
  setTimeout((/** @type {number} */ asked) => {
    if (busy === asked) busy = 0;
    acts();
  }, WAIT, busy);
};
/** @param {HTMLElement[]} buttons @param {boolean} wanted */
const tick = (buttons, wanted) => {
  for (const { dataset: { id = '', group = '' } } of buttons) {
    if (wanted) ticks.set(id, group);
    else ticks.delete(id);
  }
  marks();
};
/** @param {HTMLElement} button @param {MouseEvent} event */
const pressed = (button, event) => {
  const wanted = button.getAttribute('aria-pressed') !== 'true';
  const every = picks();
  const [from, to] = [every.findIndex((other) => other.dataset.id === last), every.indexOf(button)];
  const range = event.shiftKey && from >= 0;
  tick(range ? every.slice(Math.min(from, to), Math.max(from, to) + 1) : [button], range || wanted);
  last = button.dataset.id ?? '';
  for (const other of every) other.tabIndex = other === button ? 0 : -1;
};
element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button || button.disabled) return;
  const { kind, id, look, of, label = '', do: name } = button.dataset;
  if (kind) go(kind === props.value.open ? '' : kind, 0);
  else if (look) enlarge(look);
  else if (id) pressed(button, event);
  else if (of) {
    const group = props.value.groups.find((/** @type {Group} */ one) => one.pictures[0].id === of);
    if (group) ask('label', { ids: group.ids, label });
  }
  else if (name === 'tick') tick(picks(), true);
  else if (name === 'untick') {
    ticks.clear();
    marks();
  } else if (name === 'back' || name === 'on') go(props.value.open, props.value.page + (name === 'on' ? 1 : -1));
  else if (name) ask(name);
});
element.addEventListener('dblclick', (event) => {
  const button = near(event, '.pick');
  if (button?.querySelector('img')) enlarge(button.dataset.id ?? '');
});
element.addEventListener('keydown', (event) => {
  const button = near(event, '.pick');
  if (!button) return;
  if (event.key !== 'Enter') return walk(event, picks());
  event.preventDefault();
  if (button.querySelector('img')) enlarge(button.dataset.id ?? '');
});
watch('value', draw);
draw();
