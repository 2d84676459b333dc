// What a search found, a class at a time: pictures from their own sites, to be ticked and unticked.
import {
  action, heard, isDone, isStale, keepFocus, make, near, newTalk, numbered, opening, pager, stamp, walk,
} from '../page/common.js';

/**
 * @typedef {{ url: string, shown: string, host: string, licence: string, title: string, wanted: boolean }} Row
 * @typedef {{ label: string, found: number, left_out: number }} Found
 * 
 * @typedef {object} View
 * @property {string} workspace
 * @property {boolean} blur
 * @property {Found[]} classes
 * @property {string} open  the class that is looked at
 * @property {number} asked  the number of the message that opened it
 * @property {number} page
 * @property {number} pages
 * @property {Row[]} rows
 * @property {{ page: string, number: number }} answer
 */

const root = element.querySelector('.preview');
let talk = newTalk();
/** @type {import('../page/common.js').Opened} */
let opened = { asked: 0, told: null };
/** @type {Map<string, [wanted: boolean, number: number]>} */
const pending = new Map(); // url -> [wanted, number of the message that says so]
let drawn = '';

/** @param {HTMLElement} tile */
const blank = (tile) => {
  tile.querySelector('img')?.remove();
  tile.prepend(make('span', 'blank', 'no preview'));
};
/** @param {Row} row */
const tile = (row) => {
  const button = make('button', 'tile');
  button.dataset.url = row.url;
  if (row.title) button.title = row.title;
  const words = make('span', 'words');
  words.append(make('span', '', row.host), make('span', '', row.licence));
  button.append(make('span', 'tick', '✓'), words);
  button.setAttribute('aria-label', [row.title || 'Picture', row.host, row.licence].filter(Boolean).join(', '));
  if (!row.shown.startsWith('https://')) {
    blank(button);
    return button;
  }
  const image = make('img');
  image.alt = '';
  image.loading = 'lazy';
  image.decoding = 'async';
  image.referrerPolicy = 'no-referrer';
  image.addEventListener('error', () => blank(button));
  image.src = row.shown;
  button.prepend(image);
  return button;
};

/** @param {View} view */
const pictures = (view) => {
  const box = make('div', view.blur ? 'pictures blurred' : 'pictures');
  const bar = make('div', 'bar');
  bar.append(action('Untick all', 'none'), action('Tick all', 'all'));
  if (view.blur) bar.append(make('span', 'quiet', 'Safe search was off: point at a picture, or tap it, to see it.'));
  const grid = make('div', 'grid');
  grid.append(...view.rows.map(tile));
  grid.querySelectorAll('.tile').forEach((button, i) => (button.tabIndex = i ? -1 : 0));
  box.append(bar, grid);
  if (view.pages > 1) box.append(pager(view));
  return box;
};
/** @param {View} view @param {Found} item */
const group = (view, item) => {
  const open = item.label === view.open;
  const box = make('section', open ? 'open' : '');
  const button = make('button', 'summary');
  button.dataset.label = item.label;
  button.setAttribute('aria-expanded', String(open));
  button.append(make('b', 'name', item.label), make('span', 'count quiet'), make('span', 'quiet show', open ? 'Hide' : 'Show pictures'));
  box.append(button);
  if (open) box.append(pictures(view));
  return box;
};

/** @param {View} view */
const counts = (view) => {
  const boxes = root.querySelectorAll('.count');
  view.classes.forEach((item, i) => {
    const out = item.left_out ? ', ' + item.left_out + ' unticked' : '';
    boxes[i].textContent = item.found + ' found' + out;
  });
};
/** @param {View} view */
const marks = (view) => {
  const wanted = new Map(view.rows.map((row) => [row.url, row.wanted]));
  for (const button of root.querySelectorAll('.tile')) {
    const url = button.dataset.url ?? '';
    button.setAttribute('aria-pressed', String((pending.get(url) || [wanted.get(url)])[0]));
  }
};
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  if (view && isStale(opened, view)) return look();
  if (!view || !view.classes.length) {
    root.replaceChildren();
    drawn = '';
    return;
  }
  talk = heard(talk, view.answer);
  for (const [url, [, number]] of pending) if (isDone(talk, number)) pending.delete(url);
  const what = JSON.stringify([
    view.workspace, view.open, view.page, view.pages, view.blur, view.classes.map((item) => item.label),
    view.rows.map((row) => [row.url, row.shown]),
  ]);
  if (what !== drawn) {
    if (JSON.parse(drawn || '[""]')[0] !== view.workspace) pending.clear();
    keepFocus(root, () => root.replaceChildren(...view.classes.map((item) => group(view, item))), '[aria-expanded=true]');
    drawn = what;
  }
  counts(view);
  marks(view);
};

/** @param {HTMLElement[]} buttons @param {boolean} wanted @param {boolean} all */
const mark = (buttons, wanted, all) => {
  talk = numbered(talk);
  for (const button of buttons) {
    pending.set(button.dataset.url ?? '', [wanted, talk.sent]);
    button.setAttribute('aria-pressed', String(wanted));
  }
  const { workspace, open } = props.value;
  const urls = all ? [] : buttons.map((button) => button.dataset.url);
  trigger('mark', { workspace, label: open, urls, all, wanted, ...stamp(talk) });
};
const look = () => trigger('look', { ...opened.told, asked: opened.asked });
/** @param {string} label @param {number} number */
const go = (label, number) => {
  opened = opening(opened, props.value, { workspace: props.value.workspace, label, page: number });
  look();
};

element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button || button.disabled) return;
  const view = props.value;
  const tiles = [...root.querySelectorAll('.tile')];
  if (button.dataset.label !== undefined) go(button.dataset.label === view.open ? '' : button.dataset.label, 0);
  else if (view.blur && button.dataset.url && event.pointerType === 'touch' && !button.classList.contains('seen')) button.classList.add('seen');
  else if (button.dataset.url) mark([button], button.getAttribute('aria-pressed') !== 'true', false);
  else if (button.dataset.do === 'all' || button.dataset.do === 'none') mark(tiles, button.dataset.do === 'all', true);
  else if (button.dataset.do) go(view.open, view.page + (button.dataset.do === 'on' ? 1 : -1));
});
element.addEventListener('keydown', (event) => walk(event, [...root.querySelectorAll('.tile')]));
watch('value', draw);
draw();
