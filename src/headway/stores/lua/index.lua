-- Where jobs are found: sorted sets of ids by creation, one for each of (all jobs, a scope, a parent) and each
-- of (any status, one status), all in one hash slot.  `due` says when to look after a job, `placed` in which
-- sets it is.  In a Cluster a place is given after the record was written, by another call; what is missing or
-- wrong there is put right by the job's next minute, by readers who meet it, and by the sweep.

if redis.replicate_commands then redis.replicate_commands() end -- before Redis 7: the clock is read before writes

-- ARGV: packed, what all keys begin with, the deployment, and the calls: each a verb, what it is asked, an id.
local PREFIX, DEPLOYMENT, CALLS = unpack(cmsgpack.unpack(ARGV[1]))
local CLUSTERED = DEPLOYMENT == 'cluster'
local FIND = PREFIX .. ':{find}:'

-- Microseconds since 1970.
local function clock()
    local time = redis.call('TIME')
    return time[1] * 1000000 + time[2]
end

local function set_name(family, status, value)
    return FIND .. family .. ':' .. status .. ':' .. value
end

local function sets_of(place)
    local sets = {}
    if not place or not place.created_at then return sets end
    for _, status in ipairs({'', place.status}) do
        sets[set_name('all', status, '')] = true
        if place.scope then sets[set_name('scope', status, place.scope)] = true end
        if place.parent then sets[set_name('parent', status, place.parent)] = true end
    end
    return sets
end

-- Let an id be found at this place and at no other; nil: not at all.
local function put(id, place)
    local packed = redis.call('HGET', FIND .. 'placed', id)
    local old = packed and cmsgpack.unpack(packed)
    if place and old and old.version > place.version then return end
    local sets = sets_of(place)
    for name in pairs(sets_of(old)) do
        if not sets[name] then redis.call('ZREM', name, id) end
    end
    if not place then
        redis.call('ZREM', FIND .. 'due', id)
        redis.call('HDEL', FIND .. 'placed', id)
        return
    end
    for name in pairs(sets) do redis.call('ZADD', name, string.format('%.0f', place.created_at), id) end
    redis.call('ZADD', FIND .. 'due', string.format('%.0f', place.due), id)
    redis.call('HSET', FIND .. 'placed', id, cmsgpack.pack(place))
end
