// What the model's word can be taken for: a sentence, some of the pictures to check first, and the button that does it.
import { action, make, near, picture } from '../page/common.js';

/**
 * @typedef {{ id: string, name: string, thumbnail: string | null, label: string }} Row
 * @typedef {{ workspace: string, mark: string, number: number, words: string, sample: Row[] }} View
 */

const root = element.querySelector('.rest');

/** @param {Row} row */
const tile = (row) => {
  const figure = make('figure');
  figure.append(row.thumbnail ? picture(row.thumbnail, row.name) : make('span', 'quiet', row.name), make('figcaption', '', row.label));
  figure.title = row.name;
  return figure;
};
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  if (!view || !view.number) return root.replaceChildren();
  const box = make('section', 'offer');
  const tiles = make('div', 'tiles');
  tiles.append(...view.sample.map(tile));
  const many = view.number.toLocaleString('en');
  const take = action("Take the model's word for these " + many, 'accept');
  const check = view.sample.length < view.number ? view.sample.length + ' of them, drawn at random, to check first:' : 'These are they, to check first:';
  const after = "They are marked as the model's, never come into test, and Clean shows them first. U takes them back.";
  box.append(make('h4', '', view.words), make('p', 'quiet', check), tiles, make('p', 'quiet', after), take);
  root.replaceChildren(box);
};
root.addEventListener('click', (event) => {
  const button = near(event, 'button[data-do="accept"]');
  if (!(button instanceof HTMLButtonElement) || button.disabled) return;
  button.disabled = true;
  trigger('accept', { workspace: props.value.workspace, mark: props.value.mark });
});

watch('value', draw);
draw();
