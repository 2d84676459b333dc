// What a model says of one picture: its answer in large, and a bar for each of the likeliest classes.
import { make, percent } from '../page/common.js';

/**
 * @typedef {{ label: string, confidence: number }} Confidence
 */

const root = element.querySelector('.answer');

/** @param {Confidence} confidence */
const bar = ({ label, confidence }) => {
  const [row, track, filled] = [make('div', 'row'), make('div', 'track'), make('div', 'bar')];
  filled.style.width = 100 * confidence + '%';
  track.append(filled);
  const name = make('span', 'name', label);
  name.title = label;
  row.append(name, track, make('span', 'share', percent(confidence)));
  return row;
};
const draw = () => {
  const view = props.value;
  root.replaceChildren();
  root.className = view && view.unfamiliar ? 'answer strange' : 'answer';
  if (!view || !view.label) {
    root.append(make('p', 'empty', 'Its answer appears here.'));
    return;
  }
  root.append(make('p', 'quiet', 'It shows'), make('h2', '', view.label), ...view.confidences.map(bar));
};
watch('value', draw);
draw();
