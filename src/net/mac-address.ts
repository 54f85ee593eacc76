/** Ethernet addresses: numbers below 2^48, so that tables and comparisons allocate nothing. */

declare const brand: unique symbol;
export type MacAddress = number & { readonly [brand]: 'MacAddress' };

/** Bytes of an address in a frame. */
export const MAC_BYTES = 6;
export const BROADCAST = 0xffff_ffff_ffff as MacAddress;

const HIGH_UNIT = 0x1_0000_0000;
/** The bit of the first byte that marks addresses of more than one station. */
const GROUP_BIT = 0x0100_0000_0000;

/** Reads `00:16:3e:01:02:03`. Throws RangeError for anything else. */
export function parseMacAddress(text: string): MacAddress {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) {
    throw new RangeError(
      `a MAC address is six bytes in hexadecimal with colons between them, not ${JSON.stringify(text.slice(0, 32))}`,
    );
  }
  return Number.parseInt(text.replace(/:/g, ''), 16) as MacAddress;
}

export function macAddressText(address: MacAddress): string {
  const digits = address.toString(16).padStart(2 * MAC_BYTES, '0');
  return digits.match(/../g)!.join(':');
}

/** The address at `offset`, which must have six bytes from there on. */
export function macAddressAt(bytes: Uint8Array, offset: number): MacAddress {
  const high = (bytes[offset]! << 8) | bytes[offset + 1]!;
  const low =
    ((bytes[offset + 2]! << 24) |
      (bytes[offset + 3]! << 16) |
      (bytes[offset + 4]! << 8) |
      bytes[offset + 5]!) >>>
    0;
  return (high * HIGH_UNIT + low) as MacAddress;
}

export function writeMacAddress(address: MacAddress, bytes: Uint8Array, offset: number): void {
  let rest: number = address;
  for (let at = MAC_BYTES - 1; at >= 0; at--) {
    bytes[offset + at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

/** Whether the address is of a group of stations, broadcast included. */
export function isGroupAddress(address: MacAddress): boolean {
  return Math.floor(address / GROUP_BIT) % 2 === 1;
}
