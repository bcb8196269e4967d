"""CRC-32C against RFC 3720's vectors and a bit-by-bit oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.filesystems.crc32c import POLYNOMIAL, advance, all_are, crc32c, crc32c_many


def bitwise(data: bytes, register: int) -> int:
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
    return register


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_inverted_it_gives_the_published_checksums(data: bytes, checksum: int) -> None:
    assert crc32c(data) ^ 0xFFFFFFFF == checksum


@given(st.binary(max_size=700), st.integers(0, 0xFFFFFFFF))
def test_any_length_and_seed_agree_with_the_definition(data: bytes, seed: int) -> None:
    assert crc32c(data, seed) == bitwise(data, seed)


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 0xFFFFFFFF))
def test_a_register_carries_on_where_it_stopped(data: bytes, cut: int, seed: int) -> None:
    assert crc32c(data[cut:], crc32c(data[:cut], seed)) == crc32c(data, seed)


@given(st.integers(0, 6), st.sampled_from([0, 1, 3, 4, 5, 60, 128, 252, 512, 1000]), st.data())
def test_rows_are_independent_each_with_its_own_seed(
    rows: int, length: int, data: st.DataObject
) -> None:
    blocks = [data.draw(st.binary(min_size=length, max_size=length)) for _ in range(rows)]
    seeds = np.array([data.draw(st.integers(0, 0xFFFFFFFF)) for _ in range(rows)], np.uint32)
    array = np.frombuffer(b"".join(blocks), np.uint8).reshape(rows, length)
    expected = [bitwise(b, int(s)) for b, s in zip(blocks, seeds, strict=True)]
    assert crc32c_many(array, seeds).tolist() == expected


def test_more_rows_than_a_slab_holds() -> None:
    array = np.random.default_rng(1).integers(0, 256, (5000, 512), np.uint8)
    result = crc32c_many(array)
    for index in (0, 2047, 2048, 4999):
        assert result[index] == bitwise(array[index].tobytes(), 0xFFFFFFFF)


@given(
    st.integers(0, 9),
    st.sampled_from([1, 4, 12, 60, 128, 4096, 5000]),
    st.integers(0, 1 << 32),
    st.integers(0, 7),
)
def test_rows_are_judged_together_as_one_by_one(
    rows: int, length: int, seed: int, fault: int
) -> None:
    chance = np.random.default_rng(seed)
    array = chance.integers(0, 256, (rows, length), np.uint8)
    seeds = chance.integers(0, 1 << 32, rows, np.uint32)
    registers = crc32c_many(array, seeds)
    data = array.tobytes()
    assert all_are(data, length, registers, seeds)
    if rows:
        registers[seed % rows] ^= np.uint32(1 << fault)
        assert not all_are(data, length, registers, seeds)
        registers[seed % rows] ^= np.uint32(1 << fault)
        at = seed % len(data)
        assert not all_are(
            data[:at] + bytes([data[at] ^ 1 << fault]) + data[at + 1 :], length, registers, seeds
        )


@given(st.integers(0, 0xFFFFFFFF), st.one_of(st.integers(0, 600), st.sampled_from([8192, 10240])))
def test_advancing_is_feeding_zeros(register: int, zeros: int) -> None:
    moved = advance(np.array([register], np.uint32), zeros)
    assert moved.tolist() == [bitwise(bytes(zeros), register)]


@given(st.binary(min_size=8, max_size=300), st.data())
def test_a_field_is_taken_out_by_what_it_adds(data: bytes, chosen: st.DataObject) -> None:
    at = chosen.draw(st.integers(0, len(data) - 4))
    field = np.array([int.from_bytes(data[at : at + 4], "little")], np.uint32)
    without = data[:at] + bytes(4) + data[at + 4 :]
    assert crc32c(data) ^ int(advance(field, len(data) - at)[0]) == bitwise(without, 0xFFFFFFFF)
