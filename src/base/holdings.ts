/** Things that are held together: closed together, the last one first. */
export class Holdings {
  private readonly things: { close(): void }[] = [];

  /** Takes charge of `thing` and returns it. */
  keep<Thing extends { close(): void }>(thing: Thing): Thing {
    this.things.push(thing);
    return thing;
  }

  /** Idempotent. */
  close(): void {
    for (let thing = this.things.pop(); thing !== undefined; thing = this.things.pop()) {
      thing.close();
    }
  }
}
