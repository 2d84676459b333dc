// Which key stands for which class.
import { onGrid, shown, targets } from './queue_state.js';

/** @typedef {import('./queue_state.js').State} State */

const LETTERS = 'bcefjlmopqrtvwxyz'; // those that are no commands

/** The key of the class at that place, empty where it has none. @param {number} index */
export const keyOf = (index) => (index < 9 ? String(index + 1) : index === 9 ? '0' : (LETTERS[index - 10] || '').toUpperCase());

/** The classes that have keys. With more classes than keys, the keys go to the likeliest of what is looked at. @param {State} state @returns {readonly string[]} */
export const keyed = (state) => {
  const { view, many, selected } = state;
  if (!view || view.classes.length <= 10 + LETTERS.length) return view ? view.classes : [];
  /** @type {Map<string, number>} */
  const votes = new Map();
  /** @param {string} name @param {number} worth */
  const vote = (name, worth) => votes.set(name, (votes.get(name) || 0) + worth);
  const row = shown(state);
  for (const one of many ? (selected.size ? targets(state) : onGrid(state)) : row ? [row] : []) {
    one.suggested.split('|').forEach((name) => vote(name, 2));
    if (many) one.label.split('|').forEach((name) => vote(name, 1));
    one.likely.forEach((name, place) => vote(name, 1 / (place + 1)));
  }
  return [...votes].sort((a, b) => b[1] - a[1]).slice(0, 10).map(([name]) => name);
};
