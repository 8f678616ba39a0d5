"""Lua scripts, each of which Redis runs in one step. Pure.

Values are strings. Keys of a space that is read in order are also members of a sorted set, one for each space. A lease
is a string that expires by itself; an expired one never comes back.
"""

from __future__ import annotations

# A store that was used before there were marks has the first form.
OPEN = """
local form = redis.call('GET', KEYS[1])
if not form then
    form = redis.call('EXISTS', KEYS[2]) == 1 and '1' or ARGV[1]
    redis.call('SET', KEYS[1], form)
end
return form
"""

# The number of the newest commit under a lease, of what is written as EPOCH:NUMBER; 0: there is none.
_NEWEST = """
local function newest(key, epoch)
    local written = redis.call('GET', key)
    if not written or written:sub(1, #epoch + 1) ~= epoch .. ':' then return 0 end
    return tonumber(written:sub(#epoch + 2))
end
"""

FENCED, CONFLICT, LOST = 1, 2, 3  # what COMMIT returns; 0: done

COMMIT = (
    _NEWEST
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 1 end
local number = tonumber(ARGV[2])
if number ~= 0 then
    local before = newest(KEYS[2], ARGV[1])
    if before == number then return 0 end
    if before ~= number - 1 then return 3 end
end
local at = 7
for _ = 1, tonumber(ARGV[3]) do
    local found, kind = redis.call('GET', ARGV[at]), ARGV[at + 1]
    if (kind == '=' and found ~= ARGV[at + 2]) or (kind == '-' and found) or (kind == '+' and not found) then
        return 2
    end
    at = at + 3
end
for _ = 1, tonumber(ARGV[4]) do
    redis.call('DEL', ARGV[at])
    if ARGV[at + 1] ~= '' then redis.call('ZREM', ARGV[at + 1], ARGV[at + 2]) end
    at = at + 3
end
for _ = 1, tonumber(ARGV[5]) do
    redis.call('SET', ARGV[at], ARGV[at + 3])
    if ARGV[at + 1] ~= '' then redis.call('ZADD', ARGV[at + 1], 0, ARGV[at + 2]) end
    at = at + 4
end
for _ = 1, tonumber(ARGV[6]) do
    redis.call('INCRBY', ARGV[at], ARGV[at + 3])
    if ARGV[at + 1] ~= '' then redis.call('ZADD', ARGV[at + 1], 0, ARGV[at + 2]) end
    at = at + 4
end
if number ~= 0 then redis.call('SET', KEYS[2], ARGV[1] .. ':' .. ARGV[2]) end
return 0
"""
)

RANGE = """
local found
if ARGV[5] == '1' then
    found = redis.call('ZREVRANGEBYLEX', KEYS[1], '(' .. ARGV[3], '[' .. ARGV[2], 'LIMIT', 0, ARGV[4])
else
    found = redis.call('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[2], '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
end
local values = {}
for at, key in ipairs(found) do values[at] = redis.call('GET', ARGV[1] .. key) end
return {found, values}
"""

ACQUIRE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch = string.format('%.0f', math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now))
redis.call('SET', KEYS[2], epoch)
redis.call('SET', KEYS[1], epoch, 'PX', ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return epoch
"""

RENEW = (
    _NEWEST
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[2] or newest(KEYS[3], ARGV[2]) < tonumber(ARGV[5]) then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])
return 1
"""
)

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""

LEASES = """
local told, found = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #told, 2 do
    local epoch = redis.call('GET', ARGV[1] .. told[at])
    if epoch then
        found[#found + 1] = {told[at], epoch, told[at + 1]}
    else
        redis.call('HDEL', KEYS[1], told[at])
    end
end
return found
"""

ADD_UP = """
local sums = {}
for at, key in ipairs(KEYS) do
    sums[at] = redis.call('INCRBY', key, ARGV[at + 1])
    if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[1]) end
end
return sums
"""
