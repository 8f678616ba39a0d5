/**
 * What calls and their outputs hold: JSON where it is JSON, else the text.
 *
 * @param {unknown} text
 */
export declare function parsed(text: unknown): any;
