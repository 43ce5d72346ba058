// SPDX-License-Identifier: MIT
#include <string.h>

#include "coh_virgl.h"
#include "coherent.h"

void virgl_inline_write(uint32_t cmd[VIRGL_INLINE_DWORDS], const struct egm_bo *bo,
			uint64_t off)
{
	memset(cmd, 0, VIRGL_INLINE_DATA * sizeof(*cmd));
	cmd[0] = VIRGL_CMD(VIRGL_CCMD_RESOURCE_INLINE_WRITE, VIRGL_INLINE_DWORDS - 1);
	cmd[1] = bo->res;
	cmd[6] = off;
	cmd[9] = VIRGL_INLINE_LEN;
	cmd[10] = 1;
	cmd[11] = 1;
}

uint32_t *virgl_command(uint32_t *at, uint32_t cmd, const uint32_t *words, int n)
{
	*at = VIRGL_CMD(cmd, n);
	memcpy(at + 1, words, n * sizeof(*words));
	return at + 1 + n;
}

uint32_t *virgl_bind_numbers(uint32_t *end)
{
	static const char text[] =
		"COMP\n"
		"PROPERTY CS_FIXED_BLOCK_WIDTH 64\n"
		"PROPERTY CS_FIXED_BLOCK_HEIGHT 1\n"
		"PROPERTY CS_FIXED_BLOCK_DEPTH 1\n"
		"DCL SV[0], BLOCK_ID\n"
		"DCL SV[1], THREAD_ID\n"
		"DCL BUFFER[0]\n"
		"DCL TEMP[0..1]\n"
		"IMM[0] UINT32 {64, 4, 0, 0}\n"
		"  0: UMAD TEMP[0].x, SV[0].xxxx, IMM[0].xxxx, SV[1].xxxx\n"
		"  1: UMUL TEMP[1].x, TEMP[0].xxxx, IMM[0].yyyy\n"
		"  2: STORE BUFFER[0].x, TEMP[1].xxxx, TEMP[0].xxxx\n"
		"  3: END\n";
	const uint32_t shader = 1, bind[] = { shader, VIRGL_COMPUTE };
	uint32_t create[5 + (sizeof(text) + 3) / 4] = {
		shader, VIRGL_COMPUTE, sizeof(text), 300, 0,
	};

	memcpy(create + 5, text, sizeof(text));
	end = virgl_command(end, VIRGL_CCMD_CREATE_OBJECT | VIRGL_OBJECT_SHADER << 8,
			    create, ARRAY_SIZE(create));
	return virgl_command(end, VIRGL_CCMD_BIND_SHADER, bind, ARRAY_SIZE(bind));
}

uint32_t *virgl_bind_range(uint32_t *end, const struct egm_bo *bo, uint32_t off,
			   uint32_t words)
{
	const uint32_t ssbo[] = { VIRGL_COMPUTE, 0, off, words * 4, bo->res };

	return virgl_command(end, VIRGL_CCMD_SET_SHADER_BUFFERS, ssbo, ARRAY_SIZE(ssbo));
}

uint32_t *virgl_launch(uint32_t *end, uint32_t words)
{
	const uint32_t grid[] = { VIRGL_GROUP_WORDS, 1, 1, words / VIRGL_GROUP_WORDS, 1, 1, 0, 0 };

	return virgl_command(end, VIRGL_CCMD_LAUNCH_GRID, grid, ARRAY_SIZE(grid));
}

int virgl_submit(struct egm_dev *dev, const uint32_t *cmds, const uint32_t *end,
		 const struct egm_bo *bo)
{
	return virtgpu_execbuffer(dev->fd, cmds, (end - cmds) * sizeof(*cmds),
				  bo ? &bo->handle : NULL, bo ? 1 : 0);
}
