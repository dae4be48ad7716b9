// Architectures: their blocks, costs and names. All numbers come from Python, by about.json.

export class Space {
  constructor(facts) {
    this.facts = facts.space;
    this.blocks = facts.space.blocks;
    this.count = facts.space.archs;
    this.stages = facts.space.stages;
  }

  /** The block of a stage, counted from 0. */
  block(arch, stage) {
    return Math.floor(arch / this.blocks.length ** stage) % this.blocks.length;
  }

  /** The blocks of all stages. */
  blocksOf(arch) {
    return Array.from({ length: this.stages }, (_, stage) => this.block(arch, stage));
  }

  archOf(blocks) {
    return blocks.reduceRight((sum, block) => sum * this.blocks.length + block, 0);
  }

  /** FLOPs or parameters: those of the parts that all have, and of each block. */
  cost(arch, name) {
    const which = this.facts.costs.indexOf(name);
    return this.blocksOf(arch).reduce(
      (sum, block, stage) => sum + this.facts.block_costs[block][stage][which],
      this.facts.skeleton[which],
    );
  }

  /** The same of many, by tables of sums. */
  costs(archs, name) {
    const which = this.facts.costs.indexOf(name);
    const found = new Float64Array(archs.length);
    const size = this.blocks.length;
    const pairs = Array.from({ length: size * size }, (_, pair) => (
      this.facts.skeleton[which] + this.facts.block_costs[pair % size][0][which]
      + this.facts.block_costs[Math.floor(pair / size)][1][which]
    ));
    for (let i = 0; i < archs.length; i++) {
      const last = Math.floor(archs[i] / (size * size));
      found[i] = pairs[archs[i] - last * size * size] + this.facts.block_costs[last][2][which];
    }
    return found;
  }

  /** Those that differ in one block: [stage, block, architecture]. */
  neighbours(arch) {
    const blocks = this.blocksOf(arch);
    return blocks.flatMap((own, stage) => this.blocks
      .map((_, block) => [stage, block, this.archOf(blocks.with(stage, block))])
      .filter(([, block]) => block !== own));
  }

  /** A block in few letters: ST4 conv, mbconv. */
  blockName(block) {
    const { scheme, op1, op2 } = this.blocks[block];
    return `${scheme} ${op2 ? `${op1}, ${op2}` : op1}`;
  }

  name(arch) {
    return this.blocksOf(arch).map((block) => this.blockName(block)).join(" · ");
  }

  /** The canonical vector as text, without spaces after commas, as the database has it. */
  vec(arch) {
    const cell = (block) => {
      const [op1, ...rest] = this.blocks[block].cell;
      return `[[${op1}],[${rest.join(",")}]]`;
    };
    return `[${this.blocksOf(arch).map(cell).join(",")}]`;
  }
}
