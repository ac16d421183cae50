-- One contribution to one window of a fleet: adds it, tells what the window holds, and whether the contributor is to tell the finding.
--
-- KEYS: the policy's index of its windows; the window; the one that takes what finds no room in the index; what was told.
-- ARGV: within, age, above, once (microseconds; -1: told each time), windows at most, values counted exactly at most, "n" or "v",
-- then the number, or the values. Times are this server's. Answers 1 or 0 (to tell), the figure, 1 or 0 (an estimate).
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local within, age, above, once = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local at, after = now - age, now - within
local width = math.max(math.floor(within / 64), 1)
local lasts = math.ceil((within + width) / 1000) + 1000
local function part(moment) return string.format('%.0f', math.floor(moment / width)) end

local window = KEYS[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', after)
if redis.call('ZSCORE', KEYS[1], window) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[5]) then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), window)
  redis.call('PEXPIRE', KEYS[1], lasts)
else
  window = KEYS[3]
end

local total, estimate = 0, 0
if ARGV[7] == 'n' then
  local oldest = math.floor(after / width)
  local held = redis.call('HGETALL', window)
  for i = 1, #held, 2 do
    if tonumber(held[i]) < oldest then redis.call('HDEL', window, held[i]) else total = total + tonumber(held[i + 1]) end
  end
  local number = tonumber(ARGV[8])
  if at > after and number > 0 then
    local sum = tonumber(redis.call('HGET', window, part(at)) or '0') + number
    redis.call('HSET', window, part(at), string.format('%.0f', math.min(sum, 9007199254740991)))
    redis.call('PEXPIRE', window, lasts)
    total = math.min(total + number, 9007199254740991)
  end
else
  local each, many = window .. ':each', window .. ':many'
  redis.call('ZREMRANGEBYSCORE', each, '-inf', after)
  for i = 8, #ARGV do
    if at > after then redis.call('ZADD', each, 'GT', string.format('%.0f', at), ARGV[i]) end
  end
  redis.call('PEXPIRE', each, lasts)
  total = redis.call('ZCARD', each)
  if total > tonumber(ARGV[6]) or redis.call('EXISTS', many) == 1 then
    local held = redis.call('ZRANGE', each, 0, -1, 'WITHSCORES')
    for i = 1, #held, 2 do
      local of = many .. ':' .. part(tonumber(held[i + 1]))
      redis.call('PFADD', of, held[i])
      redis.call('PEXPIRE', of, lasts)
    end
    redis.call('DEL', each)
    redis.call('SET', many, '1', 'PX', lasts)
    local parts = {}
    for i = math.floor(after / width), math.floor(now / width) do
      parts[#parts + 1] = many .. ':' .. string.format('%.0f', i)
    end
    total, estimate = redis.call('PFCOUNT', unpack(parts)), 1
  end
end

local tell = 0
if total > above then
  local told = tonumber(redis.call('GET', KEYS[4]) or '0')
  if told == 0 or total >= told * 10 then
    tell = 1
    if once >= 0 then
      redis.call('SET', KEYS[4], string.format('%.0f', total), 'PX', math.max(math.floor(once / 1000), 1))
    end
  end
end
return { tell, total, estimate }
