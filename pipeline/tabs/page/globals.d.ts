// What Gradio hands to the script of a gr.HTML component (js_on_load), for the type check.

/** The component's own box on the page. */
declare const element: HTMLElement;
/** What Python gave it: its value, and what else `component()` was told. */
declare const props: { value: any; look?: any; most: number };
/** Tell Python that something happened: the listener of that name gets the data. */
declare function trigger(name: string, data?: unknown): void;
/** Call `act` whenever Python has changed what is named. */
declare function watch(name: string | string[], act: () => void): void;
/** Send a file to the server; it is kept at `path` there. */
declare function upload(file: File): Promise<{ path: string; url: string }>;

interface Window {
  gradio_config?: { root?: string };
}

// Everything that is selected on these pages is HTML, and it is there; where it may not be, the script asks (`?.`).
interface ParentNode {
  querySelector<K extends keyof HTMLElementTagNameMap>(selectors: K): HTMLElementTagNameMap[K];
  querySelector(selectors: string): HTMLElement;
  querySelectorAll<K extends keyof HTMLElementTagNameMap>(selectors: K): NodeListOf<HTMLElementTagNameMap[K]>;
  querySelectorAll(selectors: string): NodeListOf<HTMLElement>;
}
interface Element {
  closest<K extends keyof HTMLElementTagNameMap>(selector: K): HTMLElementTagNameMap[K] | null;
  closest(selector: string): HTMLElement | null;
}
