/** Characters that Xen keeps of its own console, `CONFIG_CONRING_SHIFT` 14. */
const CONSOLE_RING_SIZE = 16384;

/** The hypervisor's own console ring: the newest text stays. */
export class ConsoleRing {
  private text = '';
  /** How many characters it ever had. */
  total = 0;

  append(text: string): void {
    this.text = (this.text + text).slice(-CONSOLE_RING_SIZE);
    this.total += text.length;
  }

  /** What came after the first `position` characters, as far as it is still there. */
  since(position: number): string {
    const fresh = Math.min(this.total - position, this.text.length);
    return fresh === 0 ? '' : this.text.slice(-fresh);
  }
}
