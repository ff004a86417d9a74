select
    id as member_id,
    full_name as member_name,
    cast(joined_on as date) as joined_on
from {{ ref('members') }}
