/* SPDX-License-Identifier: MIT */
/*
 * How a test in the guest asks the SVGA3 model for faults and for counters:
 * a vendor specific capability in PCI config space, which vmwgfx does not look
 * at and root can read and write through sysfs. All accesses are of 32 bits.
 *
 * Writing an index to SVGA3_CTL_SELECT latches the 64 bit value of that knob
 * or counter, which LOW and HIGH then show. Writing to LOW sets the selected
 * knob; counters ignore it. What was written is in force when the write
 * returns.
 */
#ifndef SVGA3_CTL_H
#define SVGA3_CTL_H

#define SVGA3_CTL_CAP		0x40	/* the capability itself */
#define SVGA3_CTL_SIZE		0x14
#define SVGA3_CTL_MAGIC		0x44
#define SVGA3_CTL_MAGIC_VALUE	0x33475653	/* "SVG3" */
#define SVGA3_CTL_SELECT	0x48
#define SVGA3_CTL_LOW		0x4c
#define SVGA3_CTL_HIGH		0x50

enum svga3_ctl {
	/*
	 * Knobs. All are 0 after a reset of the device, those with a command
	 * line option have its value.
	 */
	SVGA3_DROP_COMMAND,	/* id of the commands to drop, 0: any update */
	SVGA3_DROP_COUNT,	/* how many more of them to drop */
	SVGA3_DROP_COMPLETIONS,	/* command buffers that never complete */
	SVGA3_DELAY_US,		/* from submission to execution */
	SVGA3_HOLD,		/* execute nothing as long as this is 1 */
	SVGA3_REORDER,		/* complete groups of so many in reverse */
	SVGA3_TRACE,		/* log each command */
	SVGA3_CAPTURE,		/* write screen N - 1 to screen<N - 1>.png */
	SVGA3_SLOW_US,		/* what each command takes */
	SVGA3_NUM_KNOBS,

	/* Counters, since the model was started */
	SVGA3_COUNTERS = 0x100,
	SVGA3_BUFFERS = SVGA3_COUNTERS,	/* command buffers taken */
	SVGA3_COMMANDS,		/* commands executed */
	SVGA3_FENCES,
	SVGA3_ERRORS,		/* commands and buffers refused */
	SVGA3_UPDATES,		/* commands that read guest memory */
	SVGA3_UPDATE_BYTES,	/* ... and how much of it */
	SVGA3_READBACKS,	/* commands that wrote guest memory */
	SVGA3_READBACK_BYTES,
	SVGA3_COPIES,		/* between surfaces */
	SVGA3_COPY_BYTES,
	SVGA3_INVALIDATES,
	SVGA3_DROPPED,		/* commands and completions */
	SVGA3_MOBS,		/* there now */
	SVGA3_SURFACES,		/* there now */
	SVGA3_INTERRUPTS,
	SVGA3_CAPTURES,
	SVGA3_CURSORS,		/* images of a cursor taken */
	SVGA3_CURSOR_SUM,	/* the sum of the pixels of the last one */
	SVGA3_COUNTERS_END,
};

#endif /* SVGA3_CTL_H */
