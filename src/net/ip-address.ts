/** IP addresses as text, and as they stand in packets. */

/** The bytes of an address, 4 or 16 of them. Throws RangeError for text that is none. */
export function parseIpAddress(text: string): Uint8Array {
  const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  if (bytes !== undefined) return Uint8Array.from(bytes);
  throw new RangeError(
    `an IP address is 10.0.0.1 or fd00::1, not ${JSON.stringify(text.slice(0, 48))}`,
  );
}

function parseIpv4(text: string): number[] | undefined {
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return undefined;
  const bytes = text.split('.').map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map(parseGroups);
  if (before === undefined) return undefined;
  if (halves.length === 1) return before.length === 16 ? before : undefined;
  if (after === undefined || before.length + after.length > 14) return undefined;
  return [...before, ...new Array<number>(16 - before.length - after.length).fill(0), ...after];
}

/** Groups of 16 bits with colons between them, the last two perhaps as IPv4. */
function parseGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    const ipv4 = index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 !== undefined) bytes.push(...ipv4);
    else if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    else bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff);
  }
  return bytes;
}

/** Whether `address` stands at `offset`. */
export function isAddressAt(bytes: Uint8Array, offset: number, address: Uint8Array): boolean {
  for (let index = 0; index < address.length; index++) {
    if (bytes[offset + index] !== address[index]) return false;
  }
  return true;
}
