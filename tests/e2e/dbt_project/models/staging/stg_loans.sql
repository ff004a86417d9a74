select
    id as loan_id,
    book_id,
    member_id,
    lent_on,
    returned_on,
    case when returned_on is null then 'out' else 'returned' end as status
from {{ ref('loans') }}
