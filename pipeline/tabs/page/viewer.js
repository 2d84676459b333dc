// One picture in large, with what is known about it; Escape, the button or a click beside it closes it. Where the image
// has a story, its pictures open in turn (and "Back" leads the same way back), and a switch lays over it where the
// network looked, which is asked for when it is wanted first.
import { action, make, near, percent, picture } from './common.js';

/**
 * @typedef {[name: string, value: string]} Fact
 * @typedef {{ title: string, facts: Fact[], links: [name: string, href: string][] }} Source
 * @typedef {{ words: string, at: string, undone: boolean }} Label
 * @typedef {{ id: string, name: string, label: string, note: string, thumbnail: string | null }} Other  another picture
 * 
 * @typedef {object} Said  what a run said of the picture
 * @property {string} name
 * @property {boolean} current
 * @property {string} [trouble]
 * @property {string} predicted
 * @property {number} probability
 * @property {string} right
 * @property {string} split
 * 
 * @typedef {object} Story
 * @property {string} about
 * @property {Source[]} sources
 * @property {Label[]} labels
 * @property {Said[]} runs
 * @property {Other[]} duplicates
 * @property {Other[]} neighbours
 * @property {string} no_neighbours
 * 
 * @typedef {object} View
 * @property {string} id
 * @property {string | null} large
 * @property {string} trouble
 * @property {string} title
 * @property {string} name
 * @property {[name: string, probability: number][]} answers
 * @property {Fact[]} facts
 * @property {boolean} [looks]  whether it can be asked where the network looked
 * @property {Story} [story]
 * 
 * @typedef {{ id: string, heat: string | null, words: string }} Look
 */

const root = element.querySelector('.viewer');
const dialog = make('dialog');
root.append(dialog);
/** @type {string[]} */
let came = []; // the images that were open before this one
let looking = false; // whether the switch is on

/** @param {[name: string, probability: number][]} rows */
const answers = (rows) => {
  const box = make('div', 'answers');
  for (const [name, probability] of rows) {
    const track = make('div', 'track');
    const bar = make('div', 'bar');
    bar.style.width = 100 * probability + '%';
    track.append(bar);
    box.append(make('span', '', name), track, make('span', 'quiet', percent(probability)));
  }
  return box;
};
/** @param {Fact[]} rows */
const facts = (rows) => {
  const box = make('dl', 'facts');
  for (const [name, value] of rows) box.append(make('dt', 'quiet', name), make('dd', '', value));
  return box;
};
/** @returns {Look | null} */
const told = () => (props.look && props.value && props.look.id === props.value.id ? props.look : null);
/** @param {View} view */
const framed = (view) => {
  if (!view.large) return [make('p', 'empty', view.trouble)];
  const frame = make('div', 'frame');
  frame.append(picture(view.large, view.title, 'large'));
  return [frame];
};
/** @param {View} view */
const lookSwitch = (view) => {
  if (!view.looks) return [];
  const button = make('button', 'act look', 'Where it looked');
  button.dataset.do = 'look';
  button.setAttribute('aria-pressed', String(looking));
  const words = make('p', 'quiet told');
  words.setAttribute('role', 'status');
  return [button, words];
};
const lay = () => {
  const frame = dialog.querySelector('.frame');
  const words = dialog.querySelector('.told');
  if (!frame || !words) return;
  const look = told();
  frame.querySelector('.heat')?.remove();
  dialog.querySelector('.look').setAttribute('aria-pressed', String(looking));
  words.textContent = !looking ? '' : look ? look.words : 'Asking the network …';
  if (looking && look && look.heat) frame.append(picture(look.heat, '', 'heat'));
  if (looking && !look) trigger('look', { id: props.value.id });
};

// --- the story -------------------------------------------------------------------------------------------------------

/** @param {string} title @param {HTMLElement[]} parts */
const section = (title, ...parts) => {
  const box = make('section');
  box.append(make('h4', '', title), ...parts);
  return box;
};
/** @param {[name: string, href: string]} link */
const link = ([name, href]) => {
  const anchor = make('a', '', name + ': ' + href);
  Object.assign(anchor, { href, target: '_blank', rel: 'noopener noreferrer nofollow' });
  return anchor;
};
/** @param {Source} source */
const source = ({ title, facts: rows, links }) => {
  const box = make('div', 'source');
  box.append(make('p', '', title), facts(rows), ...links.map(link));
  return box;
};
/** @param {Label} label */
const label = ({ words, at, undone }) => {
  const row = make('li');
  row.append(make(undone ? 's' : 'span', '', words), make('span', 'quiet', ' ' + at + (undone ? ', undone' : '')));
  return row;
};
/** @param {Said} row */
const said = (row) => {
  const line = make('tr', row.current ? 'current' : '');
  line.append(make('td', '', row.name + (row.current ? ' (this one)' : '')));
  if (row.trouble) {
    const cell = make('td', 'quiet', row.trouble);
    cell.colSpan = 4;
    line.append(cell);
    return line;
  }
  line.append(make('td', '', row.predicted), make('td', 'number', percent(row.probability)));
  line.append(make('td', row.right, row.right), make('td', 'quiet', row.split));
  return line;
};
/** @param {Other} other */
const tile = (other) => {
  const button = make('button', 'tile');
  button.dataset.id = other.id;
  button.title = other.name;
  button.append(picture(other.thumbnail, other.label), make('span', '', other.label), make('span', 'quiet', other.note));
  return button;
};
/** @param {Other[]} others */
const tiles = (others) => {
  const box = make('div', 'tiles');
  box.append(...others.map(tile));
  return box;
};
/** @param {Label[]} rows */
const list = (rows) => {
  const box = make('ol');
  box.append(...rows.map(label));
  return box;
};
/** @param {Said[]} rows */
const runs = (rows) => {
  if (!rows.length) return make('p', 'quiet', 'No run was asked about it.');
  const [scroll, table] = [make('div', 'wide'), make('table')];
  table.append(...rows.map(said));
  scroll.append(table);
  return scroll;
};
/** @param {Story} story */
const story = ({ about, sources, labels, runs: rows, duplicates, neighbours, no_neighbours: none }) => {
  const box = make('div', 'story');
  const nowhere = make('p', 'quiet', 'It is not on record.');
  box.append(section('Where it came from', ...(sources.length ? sources.map(source) : [nowhere]), make('p', 'quiet', about)));
  box.append(section('Its labels', list(labels)), section('What each run said', runs(rows)));
  if (duplicates.length) box.append(section('The same picture', tiles(duplicates)));
  const looksLike = neighbours.length ? tiles(neighbours) : make('p', 'quiet', none);
  box.append(section('Most like it, to this run', looksLike));
  return box;
};

// --- the whole -------------------------------------------------------------------------------------------------------

/** @param {View} view */
const bar = (view) => {
  const box = make('div', 'top');
  if (came.length) box.append(action('← Back', 'back'));
  const title = make('p', 'title', view.title);
  title.tabIndex = -1;
  box.append(title, action('Close', 'close'));
  return box;
};
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  dialog.replaceChildren();
  if (!view || !view.id) return;
  const [main, below] = [make('div', 'main'), make('div', 'below')];
  below.append(...lookSwitch(view), answers(view.answers), facts(view.facts), make('p', 'quiet', view.name));
  main.append(...framed(view), below);
  dialog.className = view.story ? 'told-of' : '';
  const parts = make('div', 'parts');
  parts.append(main, ...(view.story ? [story(view.story)] : []));
  dialog.append(bar(view), parts);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector('.title').focus({ preventScroll: true });
  lay();
};
dialog.addEventListener('close', () => {
  came = [];
});
dialog.addEventListener('click', (event) => {
  if (event.target === dialog) return dialog.close();
  const button = near(event, 'button');
  if (!button) return;
  if (button.dataset.id) {
    if (came[came.length - 1] !== props.value.id) came.push(props.value.id);
    trigger('open', { id: button.dataset.id });
  } else if (button.dataset.do === 'back') trigger('open', { id: came.pop() });
  else if (button.dataset.do === 'close') dialog.close();
  else if (button.dataset.do === 'look') {
    looking = !looking;
    lay();
  }
});
watch('value', draw);
watch('look', lay);
