-- All that concerns many jobs, and the profiles; one call.  KEYS: one key of the slot, or the channel to ring.

local VERB, ASKED = unpack(CALLS[1])
local KINDS, RUNS = 1000, 8

-- Ids of one set that come after a place, newest first, each with its creation.
local function after(name, limit)
    local listed, from, offset = {}, '+inf', 0
    if ASKED.created_at then from = string.format('%.0f', ASKED.created_at) end
    while #listed < limit do
        local rows = redis.call('ZREVRANGEBYSCORE', name, from, '-inf', 'WITHSCORES', 'LIMIT', offset, limit)
        for row = 1, #rows, 2 do
            local id, created_at = rows[row], tonumber(rows[row + 1])
            if not ASKED.id or created_at ~= ASKED.created_at or id < ASKED.id then
                table.insert(listed, {id, created_at})
            end
        end
        if #rows < 2 * limit then break end
        offset = offset + limit
    end
    return listed
end

local function newer(one, other)
    if one[2] ~= other[2] then return one[2] > other[2] end
    return one[1] > other[1]
end

local function page()
    local listed = {}
    for _, status in ipairs(ASKED.status) do
        for _, row in ipairs(after(set_name(ASKED.family, status, ASKED.value), ASKED.limit)) do
            table.insert(listed, row)
        end
    end
    table.sort(listed, newer)
    local ids = {}
    for place = 1, math.min(#listed, ASKED.limit) do
        table.insert(ids, listed[place][1])
        table.insert(ids, string.format('%.0f', listed[place][2]))
    end
    return ids
end

local function overdue()
    return redis.call('ZRANGEBYSCORE', FIND .. 'due', '-inf', string.format('%.0f', clock()), 'LIMIT', 0, ASKED.limit)
end

-- Before a record is made in another slot: whoever makes it may die before it has its place.
local function expect()
    redis.call('ZADD', FIND .. 'due', 'NX', string.format('%.0f', clock() + ASKED.within * 1000000), ASKED.id)
    return 1
end

local function learn()
    local runs = FIND .. 'kind:' .. ASKED.kind
    if not ASKED.profile then
        redis.call('DEL', runs)
        return redis.call('ZREM', FIND .. 'kinds', ASKED.kind)
    end
    redis.call('RPUSH', runs, ASKED.profile)
    redis.call('LTRIM', runs, -RUNS, -1)
    redis.call('ZADD', FIND .. 'kinds', string.format('%.0f', clock()), ASKED.kind)
    for _, kind in ipairs(redis.call('ZRANGE', FIND .. 'kinds', 0, -KINDS - 1)) do
        redis.call('DEL', FIND .. 'kind:' .. kind)
        redis.call('ZREM', FIND .. 'kinds', kind)
    end
    return 1
end

local VERBS = {
    page = page,
    overdue = overdue,
    expect = expect,
    learn = learn,
    history = function() return redis.call('LRANGE', FIND .. 'kind:' .. ASKED.kind, 0, -1) end,
    put = function() return put(ASKED.id, ASKED.place) or 1 end,
    ring = function() return redis.call('SPUBLISH', KEYS[1], ASKED.id) end,
}
return VERBS[VERB]()
