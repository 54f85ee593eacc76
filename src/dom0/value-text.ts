/**
 * Values of xenstore as people type and read them, in the notation of the xenstore-* commands:
 * printable ASCII stands for itself, anything else and the backslash is escaped.
 */

const ESCAPED_AS: Readonly<Record<string, string>> = {
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\\': '\\\\',
};

const ESCAPE_MEANS: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  r: '\r',
};

function escapeCharacter(character: string): string {
  const known = ESCAPED_AS[character];
  if (known !== undefined) return known;
  const code = character.charCodeAt(0);
  return code < 8 ? `\\00${code}` : `\\x${code.toString(16).padStart(2, '0')}`;
}

/** A byte string as printable ASCII. */
export function escapeValue(value: string): string {
  return value.replace(/[^ -[\]-~]/g, escapeCharacter);
}

/** The byte string that an escaped one stands for. A backslash before any other character means that character. */
export function unescapeValue(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]?))/g,
    (whole, hex?: string, octal?: string, other?: string) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
      return other ? (ESCAPE_MEANS[other] ?? other) : whole;
    },
  );
}

/** What was typed, as the bytes that the terminal sent. */
export function typedBytes(argument: string): string {
  return Buffer.from(argument, 'utf8').toString('latin1');
}
