// A closer look at an answer: the picture, over which a switch lays where the network looked, and the nearest pictures
// that it learnt from; a click on one asks for it in large.
import { make, near, picture } from '../page/common.js';

/**
 * @typedef {{ id: string, name: string, label: string, note: string, thumbnail: string | null }} Other
 * @typedef {{ id: string, heat: string | null, words: string }} Look
 */

const root = element.querySelector('.closer');
let looking = false; // whether the switch is on

/** @param {Other} other */
const tile = (other) => {
  const button = make('button', 'tile');
  button.dataset.id = other.id;
  button.title = other.name;
  button.append(picture(other.thumbnail, other.label), make('span', 'label', other.label), make('span', 'quiet', other.note));
  return button;
};
/** @param {string} title @param {HTMLElement[]} parts */
const part = (title, ...parts) => {
  const box = make('section');
  box.append(make('h4', '', title), ...parts);
  return box;
};
/** @returns {Look | null} */
const told = () => (props.look && props.value && props.look.id === props.value.id ? props.look : null);
const lay = () => {
  const frame = root.querySelector('.frame');
  if (!frame) return;
  const look = told();
  frame.querySelector('.heat')?.remove();
  root.querySelector('.look').setAttribute('aria-pressed', String(looking));
  root.querySelector('.told').textContent = !looking ? '' : look ? look.words : 'Asking the network …';
  if (looking && look && look.heat) frame.append(picture(look.heat, '', 'heat'));
  if (looking && !look) trigger('look', { id: props.value.id });
};
const draw = () => {
  const view = props.value;
  root.replaceChildren();
  if (!view || !view.id) return;
  const frame = make('div', 'frame');
  frame.append(picture(view.large, 'The picture', 'large'));
  const button = make('button', 'act look', 'Show where it looked');
  button.dataset.do = 'look';
  const words = make('p', 'quiet told');
  words.setAttribute('role', 'status');
  const tiles = make('div', 'tiles');
  tiles.append(...view.neighbours.map(tile));
  const near = view.neighbours.length ? tiles : make('p', 'quiet', view.none);
  root.append(part('Where the network looked', button, words, frame), part('Most alike among those it learnt from', near));
  lay();
};
element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button) return;
  if (button.dataset.id) trigger('open', { id: button.dataset.id });
  else if (button.dataset.do === 'look') {
    looking = !looking;
    lay();
  }
});
watch('value', draw);
watch('look', lay);
draw();
