/** Where a command's words go, so that tests can listen. */
export interface Terminal {
  /** Columns of a line of output. */
  readonly width: number;
  /** Writes bytes, one a character. */
  out(text: string): void;
  /** Writes text as it stands. */
  error(text: string): void;
}

/** What xenstore-ls takes where there is no terminal to ask. */
const WIDTH_WITHOUT_TERMINAL = 80;

export const processTerminal: Terminal = {
  // Two columns less than there are, as xenstore-ls has it.
  width: process.stdout.isTTY ? process.stdout.columns - 2 : WIDTH_WITHOUT_TERMINAL,
  out: (text) => {
    process.stdout.write(text, 'latin1');
  },
  error: (text) => {
    process.stderr.write(text);
  },
};
