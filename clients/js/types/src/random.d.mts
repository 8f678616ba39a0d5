/** 16 hexadecimal digits that nobody else has. Not randomUUID: pages that come over plain HTTP do not have it. */
export declare function randomName(): string;
