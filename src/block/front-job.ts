/** What a front end has been asked to do, in parts that fit a request. */

export interface FrontJob {
  /** `BLKIF_OP_…` */
  readonly operation: number;
  /** Bytes from the start of the disk. */
  readonly position: number;
  readonly length: number;
  /** The caller's memory, for operations that move data. */
  readonly buffers: readonly Uint8Array[];
  /** Called once; with an error when the job has failed. */
  readonly done: (error?: unknown) => void;
  /** Jobs that a back end did not answer are asked again in this order. */
  order: number;
}

/**
 * The job as jobs of at most `length_max` bytes each. It is done when all of them are, so that none
 * touches the caller's memory after that; the first error of them is its own.
 */
export function splitJob(job: FrontJob, length_max: number): FrontJob[] {
  if (job.length <= length_max || job.buffers.length === 0) return [job];
  const parts = splitBuffers(job.buffers, length_max);
  let left = parts.length;
  let failure: { readonly error: unknown } | undefined;
  const done = (error?: unknown) => {
    if (error !== undefined) failure ??= { error };
    left--;
    if (left === 0) job.done(failure?.error);
  };
  let position = job.position;
  return parts.map(({ length, buffers }) => {
    const part = { ...job, position, length, buffers, done };
    position += length;
    return part;
  });
}

/** `buffers` cut into lists that hold at most `length_max` bytes each. */
function splitBuffers(
  buffers: readonly Uint8Array[],
  length_max: number,
): { length: number; buffers: Uint8Array[] }[] {
  const parts: { length: number; buffers: Uint8Array[] }[] = [];
  let part = { length: 0, buffers: [] as Uint8Array[] };
  for (const buffer of buffers) {
    for (let start = 0; start < buffer.length; ) {
      if (part.length === length_max) {
        parts.push(part);
        part = { length: 0, buffers: [] };
      }
      const piece = buffer.subarray(start, start + length_max - part.length);
      part.buffers.push(piece);
      part.length += piece.length;
      start += piece.length;
    }
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
